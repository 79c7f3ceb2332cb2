"""Opt-outs, resolved before an image is requested: robots.txt, TDM reservation, headers, lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from protego import Protego
from yarl import URL

from benben.pipeline.consent.opt_outs import binding
from benben.pipeline.settings.fetch import ConsentSettings

# RFC 9309, section 2.3.1.4: unreachable (5xx, network errors) means complete disallow;
# 2.3.1.3: unavailable (4xx) means no restriction. 429 says "later", so it counts as unreachable.
UNREACHABLE_STATUS = 429


@dataclass(frozen=True, slots=True)
class SiteFile:
    """What became of the request for a site's robots.txt or tdmrep.json.

    `status` is the HTTP status after redirects, or None when there was no answer.
    """

    origin: str
    path: str
    status: int | None
    text: str
    fetched_at: float  # seconds since the epoch


class Robots:
    """One origin's robots.txt."""

    def __init__(self, answer: SiteFile, product: str, agents: Iterable[str] = ()) -> None:
        status = answer.status
        self.unreachable = status is None or status >= 500 or status == UNREACHABLE_STATUS
        self._product = product
        self._rules: Protego | None = None
        self._agents: list[str] = []
        if status is not None and 200 <= status < 300:
            text = answer.text.removeprefix("\ufeff")
            self._rules = Protego.parse(text)
            named = {name.strip().lower() for name in _GROUP.findall(text)}
            self._agents = [agent for agent in agents if agent.lower() in named]

    def reason(self, url: str) -> str | None:
        """Why a URL may not be requested; None when it may."""
        if self.unreachable:
            return "consent.robots_unreachable"
        if self._rules is None:
            return None
        for agent in (self._product, *self._agents):
            if not self._rules.can_fetch(url, agent):
                return "consent.robots"
        return None

    @property
    def crawl_delay(self) -> float:
        """Seconds between requests that the file asks for; 0 when it asks for none."""
        if self._rules is None:
            return 0.0
        delays = [0.0]
        for agent in (self._product, *self._agents):
            delays.append(float(self._rules.crawl_delay(agent) or 0))
            rate = self._rules.request_rate(agent)
            if rate is not None and rate.requests:
                delays.append(rate.seconds / rate.requests)
        return max(delays)


_GROUP = re.compile(r"^[ \t]*user-?agent[ \t]*:[ \t]*([^#\r\n]*)", re.IGNORECASE | re.MULTILINE)


class Reservations:
    """One origin's /.well-known/tdmrep.json (TDM Reservation Protocol, W3C community group)."""

    def __init__(self, answer: SiteFile) -> None:
        self._rules: list[tuple[PathPattern, bool]] = []
        if answer.status is None or not 200 <= answer.status < 300:
            return
        try:
            data = json.loads(answer.text)
        except (ValueError, RecursionError):
            return
        for rule in data if isinstance(data, list) else [data]:
            if isinstance(rule, dict) and isinstance(rule.get("location"), str):
                reserved = str(rule.get("tdm-reservation", "")).strip() == "1"
                self._rules.append((PathPattern.of(rule["location"]), reserved))

    def reserved(self, url: URL) -> bool:
        """Tell whether the first rule that matches the path reserves the rights."""
        path = url.raw_path_qs
        found = (reserved for pattern, reserved in self._rules if pattern.matches(path))
        return next(found, False)


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A robots.txt-like pattern: a prefix, `*` for anything, `$` at the end for the end.

    Matching takes linear time: regular expressions would let a site hang us.
    """

    parts: tuple[str, ...]  # between asterisks
    whole: bool

    @classmethod
    def of(cls, location: str) -> PathPattern:
        """Parse a pattern."""
        return cls(tuple(location.removesuffix("$").split("*")), location.endswith("$"))

    def matches(self, path: str) -> bool:
        """Tell whether a path begins with the pattern, or equals it when it ends in `$`."""
        first, *middle = self.parts
        if not path.startswith(first):
            return False
        position = len(first)
        last = middle.pop() if middle and self.whole else None
        for part in middle:
            found = path.find(part, position)
            if found < 0:
                return False
            position = found + len(part)
        if last is not None:
            return len(path) - len(last) >= position and path.endswith(last)
        return not self.whole or position == len(path)


def header_reason(
    headers: Mapping[str, Any], settings: ConsentSettings, product: str
) -> str | None:
    """Why an image's response headers forbid its use; None when they do not.

    X-Robots-Tag may be bound to an agent ("otherbot: noai"); only ours and unbound ones count.
    """
    values = headers.getall if hasattr(headers, "getall") else _single(headers)
    if settings.headers:
        unwanted = {word.lower() for word in settings.directives}
        for value in values("X-Robots-Tag", []):
            if unwanted & robots_tag_words(value, product):
                return "consent.x_robots_tag"
    if settings.tdm:
        for value in values("tdm-reservation", []):
            if value.strip() == "1":
                return "consent.tdm"
    return None


def _single(headers: Mapping[str, Any]) -> Any:
    lowered = {name.lower(): value for name, value in headers.items()}
    return lambda name, default: [lowered[name.lower()]] if name.lower() in lowered else default


def robots_tag_words(value: str, product: str) -> set[str]:
    """Directives of one X-Robots-Tag header that bind us, lower case."""
    words: set[str] = set()
    bound = False  # by a preceding agent that is not ours
    for part in value.split(","):
        word = part.strip().lower()
        agent, colon, rest = word.partition(":")
        if colon and agent.strip() not in _WITH_VALUE:
            bound = agent.strip() not in ("*", product.lower())
            word = rest.strip()
        if word == "none":  # noindex and nofollow
            word = "noindex"
        if word and not bound:
            words.add(word)
    return words


_WITH_VALUE = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}


def page_reason(opt_outs: Iterable[str], settings: ConsentSettings, product: str) -> str | None:
    """Why a page's opt-outs forbid its images.

    Those bound to an agent count when it is ours or one whose rules bind us too.
    """
    agents = (product, *settings.agents)
    if settings.pages and any(binding(opt_outs, settings.directives, agents)):
        return "consent.page"
    return None


def origin(url: URL | str) -> str:
    """Scheme, host and port: what one robots.txt speaks for."""
    parts = urlsplit(str(url))
    return f"{parts.scheme}://{parts.netloc}"
