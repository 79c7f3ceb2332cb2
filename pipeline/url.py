"""URLs as browsers and crawlers see them: references, hosts, domains, keys of duplicates."""

from __future__ import annotations

import re
from functools import lru_cache

import ada_url
import tldextract

_WEB = ("http://", "https://")
# Characters of an address. RFC 9110, 4.1 asks servers to take 8,000; a long <base> would be part of
# the address of every image.
MOST_CHARACTERS = 8000
# Characters that WHATWG parsing leaves alone in a path and query; dots are tested separately.
_CLEAN_TAIL = re.compile(r"[\w!$&()*+,\-./;=@~%?:]*", re.ASCII)
_CLEAN_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}/", re.ASCII)
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")  # RFC 3986, section 2.3
# Suffix list of the installed package: no network access, no cache folder.
_suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def join(base: str, reference: str) -> str | None:
    """Resolve a reference as browsers do (WHATWG URL Standard); None unless http or https.

    None also for one of more than MOST_CHARACTERS. References that parsing would not change, such
    as those of most images, skip the parser.
    """
    if len(reference) > MOST_CHARACTERS:
        return None
    if _CLEAN_TAIL.fullmatch(reference) and "/." not in reference and "%2" not in reference:
        origin = _CLEAN_ORIGIN.match(reference)
        if origin and "xn--" not in origin[0]:
            return reference
        if reference.startswith("/") and not reference.startswith("//"):
            return _origin(base) + reference if _origin(base) else None
    url = parse_join(base, reference)
    return url if url is None or len(url) <= MOST_CHARACTERS else None


def parse_join(base: str, reference: str) -> str | None:
    """Resolve a reference with the full parser; see `join`."""
    try:
        url = str(ada_url.join_url(base, reference))
    except ValueError:
        return None
    return url if url.startswith(_WEB) else None


@lru_cache(maxsize=1024)
def _origin(base: str) -> str:
    """Return scheme, user info, host and port, a prefix of paths; empty unless http or https."""
    root = parse_join(base, "/")
    return root[:-1] if root else ""


@lru_cache(maxsize=4096)
def host(url: str) -> str:
    """Return the host name in lower case, without port; empty if there is none."""
    try:
        return str(ada_url.URL(url).hostname).rstrip(".")
    except ValueError:
        return ""


@lru_cache(maxsize=4096)
def domain(name: str) -> str:
    """Return the registered domain of a host (Public Suffix List); the host itself if none."""
    return _suffixes(name).top_domain_under_public_suffix or name


def url_key(url: str) -> str:
    """Return the form that all URLs of one page share, by which duplicates are found.

    Scheme, default port, `www.`, fragment, final slash, the order of parameters and escapes of
    characters that need none (RFC 3986, section 6.2.2) are ignored. Session and tracking parameters
    are kept although they do not change the page: a parameter that one site uses for tracking names
    a page on another.
    """
    try:
        parsed = ada_url.URL(url)
    except ValueError:
        return url
    name = str(parsed.hostname).rstrip(".").removeprefix("www.")
    port = f":{parsed.port}" if parsed.port else ""
    path, query = _plain(str(parsed.pathname)), _plain(str(parsed.search)[1:])
    query = "&".join(sorted(filter(None, query.split("&"))))
    return f"{name}{port}{path.rstrip('/')}{'?' + query if query else ''}"


def _plain(part: str) -> str:
    """Return a path or query without escapes that say nothing (RFC 3986, section 6.2.2)."""
    return _ESCAPE.sub(_plainest, part) if "%" in part else part


def _plainest(escape: re.Match[str]) -> str:
    """Return an unreserved character as itself, any other byte as an escape in capitals."""
    character = chr(int(escape[1], 16))
    return character if _UNRESERVED.fullmatch(character) else escape[0].upper()
