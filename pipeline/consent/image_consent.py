"""What forbids an image: its page, robots.txt, a TDM reservation, its response, an opt-out list.

Each rule has its own reason. All that can be known before a request is checked before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from protego import Protego
from yarl import URL

from benben.common.text import lines
from benben.pipeline import storage
from benben.pipeline.consent.directives import (
    LICENSE,
    RESERVATION,
    ROBOTS_TAG,
    SIGNAL,
    USAGE,
    binding_facts,
    from_headers,
    is_reserved,
    page_agents,
)
from benben.pipeline.errors import InputError
from benben.pipeline.settings.consent import ConsentSettings
from benben.pipeline.takedown import tombstones
from benben.pipeline.takedown.tombstones import Tombstones

# RFC 9309, section 2.3.1.4: unreachable (5xx, network errors) means complete disallow; section
# 2.3.1.3: unavailable (4xx) means no restriction. 429 says "later", so it counts as unreachable.
UNREACHABLE_STATUS = 429
USER_AGENT_LINE = re.compile(
    r"^[ \t]*user-?agent[ \t]*:[ \t]*([^#\r\n]*)", re.IGNORECASE | re.MULTILINE
)


# The page and the response

HEADER_REASONS = {
    ROBOTS_TAG: "consent.x_robots_tag",
    RESERVATION: "consent.tdm",
    USAGE: "consent.content_usage",
    SIGNAL: "consent.content_signal",
    LICENSE: "consent.rsl",
}


def page_reason(opt_outs: Iterable[str], settings: ConsentSettings, product: str) -> str | None:
    """Why a page's opt-outs forbid its images; None when they do not."""
    agents = page_agents(product, settings)
    if settings.pages and any(binding_facts(opt_outs, settings, agents)):
        return "consent.page"
    return None


def header_reason(
    headers: Mapping[str, Any], settings: ConsentSettings, product: str
) -> str | None:
    """Why the headers of an image's response forbid its use; None when they do not."""
    for fact in binding_facts(from_headers(headers), settings, page_agents(product, settings)):
        place = fact.partition(":")[0]
        if place != ROBOTS_TAG or settings.headers:
            return HEADER_REASONS[place]
    return None


# The site: robots.txt and tdmrep.json


@dataclass(frozen=True, slots=True)
class SiteFile:
    """The answer to the request for a site's robots.txt or tdmrep.json.

    `status` is the HTTP status after redirects, or None when there was no answer.
    """

    origin: str
    path: str
    status: int | None
    text: str
    fetched_at: float  # seconds since the epoch


def origin_of(url: URL | str) -> str:
    """Scheme, host and port: what one robots.txt applies to."""
    parts = urlsplit(str(url))
    return f"{parts.scheme}://{parts.netloc}"


class Robots:
    """The robots.txt of one origin. Groups that name one of `agents` bind us too."""

    def __init__(self, answer: SiteFile, product: str, agents: Iterable[str] = ()) -> None:
        status = answer.status
        self.unreachable = status is None or status >= 500 or status == UNREACHABLE_STATUS
        self._product = product
        self._rules: Protego | None = None
        self._agents: list[str] = []
        if status is not None and 200 <= status < 300:
            text = answer.text.removeprefix("\ufeff")
            self._rules = Protego.parse(text)
            named = {name.strip().lower() for name in USER_AGENT_LINE.findall(text)}
            self._agents = [agent for agent in agents if agent.lower() in named]

    def reason(self, url: str) -> str | None:
        """Why a URL must not be requested; None when it may be."""
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
        """Seconds between requests, by Crawl-delay or Request-rate; 0 without either."""
        if self._rules is None:
            return 0.0
        delays = [0.0]
        for agent in (self._product, *self._agents):
            delays.append(float(self._rules.crawl_delay(agent) or 0))
            rate = self._rules.request_rate(agent)
            if rate is not None and rate.requests:
                delays.append(rate.seconds / rate.requests)
        return max(delays)


class Reservations:
    """The /.well-known/tdmrep.json of one origin (TDM Reservation Protocol, W3C group)."""

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
                reserved = is_reserved(rule.get(RESERVATION))
                self._rules.append((PathPattern.of(rule["location"]), reserved))

    def reserved(self, url: URL) -> bool:
        """Tell whether the first rule that matches the path reserves the rights."""
        path = url.raw_path_qs
        found = (reserved for pattern, reserved in self._rules if pattern.matches(path))
        return next(found, False)


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A pattern as in robots.txt: a prefix, `*` for any characters, a last `$` for the path's end.

    Matching takes linear time: with a regular expression a site could make us hang.
    """

    parts: tuple[str, ...]  # between asterisks
    whole: bool  # ends with `$`

    @classmethod
    def of(cls, location: str) -> PathPattern:
        """Parse a pattern."""
        return cls(tuple(location.removesuffix("$").split("*")), location.endswith("$"))

    def matches(self, path: str) -> bool:
        """Tell whether the pattern matches the start of a path; with `$`, all of it."""
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


# Opt-out lists: text or parquet files


class OptOutLists:
    """Lists that apply to every site: domains, URLs, SHA-256, perceptual hashes, tombstones.

    Tombstones name what was taken down from an earlier dataset. Raises InputError for a file that
    cannot be read.
    """

    def __init__(self, settings: ConsentSettings) -> None:
        self._domains = {entry.lower().strip(".") for entry in _entries(settings.domains)}
        self._urls = {_canonical(entry) for entry in _entries(settings.urls)}
        self._sha256 = {bytes.fromhex(entry) for entry in _hex_entries(settings.sha256, 64)}
        hashes = [int(entry, 16) for entry in _hex_entries(settings.phash, 16)]
        self._phash = np.array(hashes, np.uint64)
        self._distance = settings.phash_distance
        self._tombstones = Tombstones(tombstones.read(settings.tombstones))

    def reason(self, url: URL) -> str | None:
        """Why an image must not be requested; None when no list names it."""
        labels = (url.host or "").lower().split(".")
        if self._domains and any(
            ".".join(labels[start:]) in self._domains for start in range(len(labels))
        ):
            return "consent.list_domain"
        if self._urls and str(url.with_fragment(None)) in self._urls:
            return "consent.list_url"
        return tombstones.reason_of(self._tombstones.match_url(str(url)))

    def content_reason(self, sha256: str, phash: str | None) -> str | None:
        """Why an image must not be kept, by its content; None when no list names it."""
        if self._sha256 and bytes.fromhex(sha256) in self._sha256:
            return "consent.list_sha256"
        if len(self._phash) and phash is not None:
            distances = np.bitwise_count(self._phash ^ np.uint64(int(phash, 16)))
            if int(distances.min()) <= self._distance:
                return "consent.list_phash"
        return tombstones.reason_of(self._tombstones.match_content(sha256, phash))


def _canonical(entry: str) -> str:
    try:
        return str(URL(entry).with_fragment(None))
    except ValueError:
        return entry


def _hex_entries(paths: list[str], digits: int) -> Iterator[str]:
    for entry in _entries(paths):
        if len(entry) != digits or set(entry.lower()) - set("0123456789abcdef"):
            raise InputError(
                f"opt-out list of {', '.join(paths)}: {entry[:80]!r} is not {digits} hex digits"
            )
        yield entry


def _entries(paths: list[str]) -> Iterator[str]:
    """Entries of text files (one a line, # comments) and of parquet files (first column)."""
    for path in paths:
        if not storage.exists(path):
            raise InputError(f"{path}: no such opt-out list; correct fetch.consent in the config")
        if path.endswith(".parquet"):
            for batch in storage.iter_parquet(path):
                yield from (str(value).strip() for value in batch.column(0).to_pylist() if value)
        else:
            text = storage.read_bytes(path).decode("utf-8", "replace")
            found = (line.split(" #")[0].strip() for line in lines(text))
            yield from (line for line in found if line and not line.startswith("#"))
