"""Tombstones: what was taken down and must not come back in later runs.

A list of tombstones is a file of JSON lines, one tombstone a line. A config names its lists in
`takedown.tombstones`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benben.common.text import lines
from benben.pipeline import storage, url
from benben.pipeline.errors import InputError

Kind = Literal["url", "host", "regex", "document", "payload", "sha256", "phash", "text"]
REASON_PREFIX = "takedown."
_IDS: tuple[Kind, ...] = ("document", "payload", "sha256")
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
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
        if self.kind == "url" and not url.host(url.parse_join(self.value, "") or ""):
            raise ValueError(f"{self.value!r} is not a URL with http:// or https:// and a host")
        if self.kind == "host" and _host_of(self.value) is None:
            raise ValueError(f"{self.value!r} is not a host such as example.org")
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
        for number, line in enumerate(lines(storage.read_bytes(path)), 1):
            try:
                found.append(Tombstone.model_validate_json(line))
            except ValidationError as error:
                message = error.errors()[0]["msg"]
                raise InputError(f"{path}, line {number}: not a tombstone: {message}") from None
    return found


def add(path: str, tombstones: Iterable[Tombstone]) -> None:
    """Add tombstones that a list does not have; readers see the list before or after."""
    present = read([path]) if storage.exists(path) else []
    listed = [each.model_dump_json() for each in dict.fromkeys([*present, *tombstones])]
    storage.write_bytes(path, "".join(f"{line}\n" for line in listed).encode())


def identities(paths: Sequence[str]) -> dict[str, str]:
    """Return a hash of the tombstones in lists; a stage runs again when it changes."""
    if not paths:
        return {}
    listed = sorted({each.model_dump_json() for each in read(paths)})
    return {"tombstones": hashlib.blake2b("\n".join(listed).encode(), digest_size=8).hexdigest()}


# Matching


class Tombstones:
    """Matches pages, images and texts against tombstones.

    Each method returns the kind of a tombstone that matches, or None.
    """

    def __init__(self, tombstones: Iterable[Tombstone]) -> None:
        by_kind: dict[str, list[Tombstone]] = {}
        for each in tombstones:
            by_kind.setdefault(each.kind, []).append(each)
        values = {kind: sorted({each.value for each in same}) for kind, same in by_kind.items()}
        # What is looked up -> the values of the tombstones.
        self._ids = {kind: {one: one for one in values.get(kind, ())} for kind in _IDS}
        self._url_keys = {url.url_key(value): value for value in values.get("url", ())}
        self._hosts = {_host_of(value): value for value in values.get("host", ())}
        self._patterns = [re.compile(value) for value in values.get("regex", ())]
        self._phrases = {_normalize(value): value for value in values.get("text", ())}
        self.matched: set[tuple[Kind, str]] = set()  # kinds and values of all that matched so far
        hashes = self._hashes = by_kind.get("phash", [])
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
        return self._first(
            self._by_id("document", doc_id),
            self._by_id("payload", payload_digest),
            self._by_url(page_url),
        )

    def match_url(self, any_url: str) -> Kind | None:
        """Match the URL of a page or an image."""
        return self._first(self._by_url(any_url))

    def match_content(self, sha256: str | None, phash: str | None = None) -> Kind | None:
        """Match an image by its SHA-256 and its perceptual hash."""
        return self._first(self._by_id("sha256", sha256), self._by_look(phash))

    def match_text(self, texts: Iterable[str | None]) -> Kind | None:
        """Match the texts of a page, joined in their order."""
        return self._first(self._by_text(texts)) if self._phrases else None

    def _first(self, *found: Iterator[tuple[Kind, str]]) -> Kind | None:
        """Note all that matched, so that a request which matches nothing is known; return one."""
        first = None
        for kind, value in chain(*found):
            self.matched.add((kind, value))
            first = first or kind
        return first

    def _by_id(self, kind: Kind, value: str | None) -> Iterator[tuple[Kind, str]]:
        if value in self._ids[kind]:
            yield kind, value

    def _by_url(self, any_url: str) -> Iterator[tuple[Kind, str]]:
        if self._url_keys and (value := self._url_keys.get(url.url_key(any_url))):
            yield "url", value
        if self._hosts:
            labels = _host_in(any_url).split(".")
            for start in range(len(labels)):
                if value := self._hosts.get(".".join(labels[start:])):
                    yield "host", value
        for pattern in self._patterns:
            if pattern.search(any_url):
                yield "regex", pattern.pattern

    def _by_look(self, phash: str | None) -> Iterator[tuple[Kind, str]]:
        if phash is not None and len(self._phash):
            distances = np.bitwise_count(self._phash ^ np.uint64(int(phash, 16)))
            for place in np.flatnonzero(distances <= self._distance):
                yield "phash", self._hashes[place].value

    def _by_text(self, texts: Iterable[str | None]) -> Iterator[tuple[Kind, str]]:
        joined = _normalize(" ".join(text for text in texts if text))
        return (("text", value) for phrase, value in self._phrases.items() if phrase in joined)


def _host_of(value: str) -> str | None:
    """Return the host of a tombstone as pages have it; None for what is no host.

    A scheme, a port and a final slash are ignored; a path is not a host.
    """
    rest = value.partition("://")[2] or value
    found = url.host(f"http://{rest.strip('.')}")
    return found if _HOST.fullmatch(found) and "/" not in rest.removesuffix("/") else None


def _host_in(any_url: str) -> str:
    """Return the host of a page or image; of a URL that no browser would open as far as it goes."""
    try:
        return url.host(any_url) or (urlsplit(any_url).hostname or "").strip(".")
    except ValueError:
        return ""


def _normalize(text: str) -> str:
    """Apply NFKC and case folding, and replace each run of white space by one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
