"""Tombstones: what was taken down and must not come back in later runs.

A list of tombstones is a file of JSON lines, one tombstone a line. A config names its lists in
`takedown.tombstones`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benben.pipeline import storage, url
from benben.pipeline.errors import InputError

Kind = Literal["url", "host", "regex", "document", "payload", "sha256", "phash", "text"]
REASON_PREFIX = "takedown."
_PATTERNS = {
    "document": "[0-9a-f]{32}",
    "payload": "sha1:[A-Z2-7]{32}",
    "sha256": "[0-9a-f]{64}",
    "phash": "[0-9a-f]{16}",
}


class Tombstone(BaseModel):
    """One page, image, host, pattern or text that must not come back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    value: str = Field(min_length=1)
    distance: int = Field(default=0, ge=0, le=16)  # bits in which a perceptual hash may differ

    @model_validator(mode="after")
    def _well_formed(self) -> Tombstone:
        pattern = _PATTERNS.get(self.kind)
        if pattern and not re.fullmatch(pattern, self.value):
            raise ValueError(f"{self.value!r} is not a {self.kind}: expected {pattern}")
        if self.kind == "regex":
            try:
                re.compile(self.value)
            except re.error as error:
                raise ValueError(f"{self.value!r} is not a regular expression: {error}") from None
        if self.kind == "text" and not _normalize(self.value):
            raise ValueError("a text of white space alone would match every page")
        return self


def reason_of(kind: Kind | None) -> str | None:
    """Return the reason that the ledger records for a match; None for no match."""
    return f"{REASON_PREFIX}{kind}" if kind else None


# Lists


def read(paths: Sequence[str]) -> list[Tombstone]:
    """Read lists. Raises InputError with the file and line of a mistake."""
    found = []
    for path in paths:
        if not storage.exists(path):
            raise InputError(
                f"{path}: no such list of tombstones; correct takedown.tombstones in the config"
            )
        for number, line in enumerate(storage.read_bytes(path).decode().splitlines(), 1):
            try:
                found.append(Tombstone.model_validate_json(line))
            except ValidationError as error:
                message = error.errors()[0]["msg"]
                raise InputError(f"{path}, line {number}: not a tombstone: {message}") from None
    return found


def add(path: str, tombstones: Iterable[Tombstone]) -> None:
    """Add tombstones that a list does not have; readers see the list before or after."""
    present = read([path]) if storage.exists(path) else []
    lines = [each.model_dump_json() for each in dict.fromkeys([*present, *tombstones])]
    storage.write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def identities(paths: Sequence[str]) -> dict[str, str]:
    """Return a hash of the tombstones in lists; a stage runs again when it changes."""
    if not paths:
        return {}
    lines = sorted({each.model_dump_json() for each in read(paths)})
    return {"tombstones": hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()}


# Matching


class Tombstones:
    """Matches pages, images and texts against tombstones.

    Each method returns the kind of a tombstone that matches, or None.
    """

    def __init__(self, tombstones: Iterable[Tombstone]) -> None:
        by_kind: dict[str, list[Tombstone]] = {}
        for each in tombstones:
            by_kind.setdefault(each.kind, []).append(each)
        self._values = {kind: {each.value for each in same} for kind, same in by_kind.items()}
        self._url_keys = {url.url_key(value) for value in self._values.get("url", ())}
        self._hosts = {value.lower().strip(".") for value in self._values.get("host", ())}
        self._patterns = [re.compile(value) for value in sorted(self._values.get("regex", ()))]
        self._phrases = sorted(map(_normalize, self._values.get("text", ())))
        hashes = by_kind.get("phash", [])
        self._phash = np.array([int(each.value, 16) for each in hashes], np.uint64)
        self._distance = np.array([each.distance for each in hashes], np.uint64)

    @classmethod
    def load(cls, paths: Sequence[str]) -> Tombstones | None:
        """Read the tombstones of lists; None if there are no lists."""
        return cls(read(paths)) if paths else None

    def match_page(
        self, page_url: str, doc_id: str = "", payload_digest: str | None = None
    ) -> Kind | None:
        """Match a page by its id, its payload digest and its URL."""
        if doc_id in self._values.get("document", ()):
            return "document"
        if payload_digest is not None and payload_digest in self._values.get("payload", ()):
            return "payload"
        return self.match_url(page_url)

    def match_url(self, any_url: str) -> Kind | None:
        """Match the URL of a page or an image."""
        if self._url_keys and url.url_key(any_url) in self._url_keys:
            return "url"
        if self._hosts and self._matches_host(any_url):
            return "host"
        if any(pattern.search(any_url) for pattern in self._patterns):
            return "regex"
        return None

    def _matches_host(self, any_url: str) -> bool:
        """Return whether the URL's host, or a domain above it, has a tombstone."""
        try:
            labels = (urlsplit(any_url).hostname or "").lower().strip(".").split(".")
        except ValueError:
            return False
        return any(".".join(labels[start:]) in self._hosts for start in range(len(labels)))

    def match_content(self, sha256: str | None, phash: str | None = None) -> Kind | None:
        """Match an image by its SHA-256 and its perceptual hash."""
        if sha256 is not None and sha256 in self._values.get("sha256", ()):
            return "sha256"
        if phash is not None and len(self._phash):
            distances = np.bitwise_count(self._phash ^ np.uint64(int(phash, 16)))
            if (distances <= self._distance).any():
                return "phash"
        return None

    def match_text(self, texts: Iterable[str | None]) -> Kind | None:
        """Match the texts of a page, joined in their order."""
        if not self._phrases:
            return None
        joined = _normalize(" ".join(text for text in texts if text))
        return "text" if any(phrase in joined for phrase in self._phrases) else None


def _normalize(text: str) -> str:
    """Apply NFKC and case folding, and replace each run of white space by one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
