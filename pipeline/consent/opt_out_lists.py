"""Opt-out lists: domains, URLs, SHA-256 and perceptual hashes, from text or parquet files.

Tombstones, which say what was taken down from an earlier dataset, are one more such list.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from yarl import URL

from benben.pipeline import storage
from benben.pipeline.errors import InputError
from benben.pipeline.settings.fetch import ConsentSettings
from benben.pipeline.takedown import tombstones
from benben.pipeline.takedown.tombstones import Tombstones


class OptOutLists:
    """Lists that apply to every site. Raises InputError for a file that cannot be read."""

    def __init__(self, settings: ConsentSettings) -> None:
        self._domains = {entry.lower().strip(".") for entry in _entries(settings.domains)}
        self._urls = {_canonical(entry) for entry in _entries(settings.urls)}
        self._sha256 = {bytes.fromhex(entry) for entry in _hex_entries(settings.sha256, 64)}
        hashes = [int(entry, 16) for entry in _hex_entries(settings.phash, 16)]
        self._phash = np.array(hashes, np.uint64)
        self._distance = settings.phash_distance
        self._taken = Tombstones(tombstones.read(settings.tombstones))

    def reason(self, url: URL) -> str | None:
        """Why an image must not be requested; None when no list names it."""
        labels = (url.host or "").lower().split(".")
        if self._domains and any(
            ".".join(labels[start:]) in self._domains for start in range(len(labels))
        ):
            return "consent.list_domain"
        if self._urls and str(url.with_fragment(None)) in self._urls:
            return "consent.list_url"
        kind = self._taken.address(str(url))
        return f"{tombstones.REASON}{kind}" if kind else None

    def content_reason(self, sha256: str, phash: str | None) -> str | None:
        """Why an image must not be kept, by its content; None when no list names it."""
        if self._sha256 and bytes.fromhex(sha256) in self._sha256:
            return "consent.list_sha256"
        if len(self._phash) and phash is not None:
            apart = np.bitwise_count(self._phash ^ np.uint64(int(phash, 16)))
            if int(apart.min()) <= self._distance:
                return "consent.list_phash"
        kind = self._taken.content(sha256, phash)
        return f"{tombstones.REASON}{kind}" if kind else None


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
            raise InputError(f"{path}: no such opt-out list; mend fetch.consent in the config")
        if path.endswith(".parquet"):
            for batch in storage.iter_parquet(path):
                yield from (str(value).strip() for value in batch.column(0).to_pylist() if value)
        else:
            text = storage.read_bytes(path).decode("utf-8", "replace")
            lines = (line.split(" #")[0].strip() for line in text.splitlines())
            yield from (line for line in lines if line and not line.startswith("#"))
