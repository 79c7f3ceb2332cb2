"""What forbids an image: its page, its response, an opt-out list; its site is in `site_files`.

Each rule has its own reason. All that can be known before a request is checked before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from yarl import URL

from benben.common.text import lines
from benben.pipeline import storage
from benben.pipeline.consent.directives import (
    LICENSE,
    RESERVATION,
    ROBOTS_TAG,
    SIGNAL,
    USAGE,
    Statements,
    binding_facts,
    from_headers,
    page_agents,
)
from benben.pipeline.errors import InputError
from benben.pipeline.settings.consent import ConsentSettings
from benben.pipeline.takedown import tombstones
from benben.pipeline.takedown.tombstones import Tombstones

REMEMBERED = 1_000  # texts of headers whose verdict is remembered

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


class HeaderVerdicts:
    """What the headers of responses forbid; responses that say the same are judged once."""

    def __init__(self, settings: ConsentSettings, product: str) -> None:
        @lru_cache(REMEMBERED)
        def reason(said: str) -> str | None:
            return header_reason(Statements(said), settings, product) if said else None

        self.reason = reason  # of header lines as `statements` writes them; None: nothing


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
