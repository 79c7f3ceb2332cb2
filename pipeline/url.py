"""URLs as browsers and crawlers see them: joining, keys for duplicates, hosts and domains."""

from __future__ import annotations

import re
from functools import lru_cache

import ada_url
import tldextract

_WEB = ("http://", "https://")
# Characters WHATWG parsing leaves alone in a path and query; dots are looked at apart.
_CLEAN_TAIL = re.compile(r"[\w!$&()*+,\-./;=@~%?:]*", re.ASCII)
_CLEAN_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}/", re.ASCII)
# Suffix list of the installed package: no network, no cache folder.
_suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def join(base: str, reference: str) -> str | None:
    """Resolve a reference as browsers do (WHATWG URL Standard); None unless http or https.

    References that parsing would not change take a short way, most images' among them.
    """
    if _CLEAN_TAIL.fullmatch(reference) and "/." not in reference and "%2" not in reference:
        origin = _CLEAN_ORIGIN.match(reference)
        if origin and "xn--" not in origin[0]:
            return reference
        if reference.startswith("/") and not reference.startswith("//"):
            return _origin(base) + reference if _origin(base) else None
    return parse_join(base, reference)


def parse_join(base: str, reference: str) -> str | None:
    try:
        url = str(ada_url.join_url(base, reference))
    except ValueError:
        return None
    return url if url.startswith(_WEB) else None


@lru_cache(maxsize=1024)
def _origin(base: str) -> str:
    """Scheme, user info, host and port, as a prefix of paths; empty when it is no web page."""
    root = parse_join(base, "/")
    return root[:-1] if root else ""


@lru_cache(maxsize=4096)
def host(url: str) -> str:
    """Host name in lower case, without port; empty when there is none."""
    try:
        return str(ada_url.URL(url).hostname).rstrip(".")
    except ValueError:
        return ""


@lru_cache(maxsize=4096)
def domain(name: str) -> str:
    """Registered domain of a host by the Public Suffix List; the host itself when it has none."""
    return _suffixes(name).top_domain_under_public_suffix or name


def url_key(url: str) -> str:
    """Form that addresses of one page share: what duplicates by URL are found by.

    Scheme, default port, `www.`, fragment, final slash and the order of parameters do not matter;
    session and tracking parameters, which differ without changing the page, are kept: dropping
    them is a guess that other sites' addresses refute.
    """
    try:
        parsed = ada_url.URL(url)
    except ValueError:
        return url
    name = str(parsed.hostname).rstrip(".").removeprefix("www.")
    port = f":{parsed.port}" if parsed.port else ""
    query = "&".join(sorted(filter(None, str(parsed.search)[1:].split("&"))))
    return f"{name}{port}{str(parsed.pathname).rstrip('/')}{'?' + query if query else ''}"
