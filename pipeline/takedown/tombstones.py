"""Tombstones: what was taken down, and must not come back in later runs and dumps.

A list is a file of JSON lines, one tombstone a line; a config names lists in `takedown.tombstones`.
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
REASON = "takedown."  # what reasons of the ledger begin with
_FORMS = {
    "document": "[0-9a-f]{32}",
    "payload": "sha1:[A-Z2-7]{32}",
    "sha256": "[0-9a-f]{64}",
    "phash": "[0-9a-f]{16}",
}


class Tombstone(BaseModel):
    """One thing that has to stay away."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    value: str = Field(min_length=1)
    distance: int = Field(default=0, ge=0, le=16)  # bits a perceptual hash may differ by

    @model_validator(mode="after")
    def _well_formed(self) -> Tombstone:
        form = _FORMS.get(self.kind)
        if form and not re.fullmatch(form, self.value):
            raise ValueError(f"{self.value!r} is no {self.kind}: expected {form}")
        if self.kind == "regex":
            try:
                re.compile(self.value)
            except re.error as error:
                raise ValueError(f"{self.value!r} is no regular expression: {error}") from None
        if self.kind == "text" and not plain(self.value):
            raise ValueError("a text of blanks would match every page")
        return self


def read(paths: Sequence[str]) -> list[Tombstone]:
    """Read lists. Raises InputError with the file and line of a mistake."""
    found = []
    for path in paths:
        if not storage.exists(path):
            raise InputError(f"{path}: no such list; mend takedown.tombstones in the config")
        for number, line in enumerate(storage.read_bytes(path).decode().splitlines(), 1):
            try:
                found.append(Tombstone.model_validate_json(line))
            except ValidationError as error:
                message = error.errors()[0]["msg"]
                raise InputError(f"{path}, line {number}: no tombstone: {message}") from None
    return found


def add(path: str, more: Iterable[Tombstone]) -> None:
    """Add to a list what it does not have; readers see the old list or the whole new one."""
    have = read([path]) if storage.exists(path) else []
    lines = [one.model_dump_json() for one in dict.fromkeys([*have, *more])]
    storage.write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def identities(paths: Sequence[str]) -> dict[str, str]:
    """Fingerprint of the tombstones, so that a longer list is other work for a stage."""
    if not paths:
        return {}
    lines = sorted({one.model_dump_json() for one in read(paths)})
    return {"tombstones": hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()}


def plain(text: str) -> str:
    """Text as it is compared: NFKC, case folded, any blanks as one."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class Tombstones:
    """Answers which tombstone, by kind, covers a page, an image or a text."""

    def __init__(self, entries: Iterable[Tombstone]) -> None:
        values: dict[str, list[Tombstone]] = {}
        for entry in entries:
            values.setdefault(entry.kind, []).append(entry)
        self._sets = {kind: {one.value for one in ones} for kind, ones in values.items()}
        self._urls = {url.url_key(value) for value in self._sets.get("url", ())}
        self._hosts = {value.lower().strip(".") for value in self._sets.get("host", ())}
        self._patterns = [re.compile(value) for value in sorted(self._sets.get("regex", ()))]
        self._phrases = sorted(map(plain, self._sets.get("text", ())))
        hashes = values.get("phash", [])
        self._phash = np.array([int(one.value, 16) for one in hashes], np.uint64)
        self._distance = np.array([one.distance for one in hashes], np.uint64)

    @classmethod
    def load(cls, paths: Sequence[str]) -> Tombstones | None:
        """The tombstones of lists; none when no list is named."""
        return cls(read(paths)) if paths else None

    def page(self, address: str, doc_id: str = "", payload: str | None = None) -> Kind | None:
        """What covers a page."""
        if doc_id in self._sets.get("document", ()):
            return "document"
        if payload is not None and payload in self._sets.get("payload", ()):
            return "payload"
        return self.address(address)

    def address(self, address: str) -> Kind | None:
        """What covers the URL of a page or an image."""
        if self._urls and url.url_key(address) in self._urls:
            return "url"
        if self._hosts and self._covers_host(address):
            return "host"
        if any(pattern.search(address) for pattern in self._patterns):
            return "regex"
        return None

    def _covers_host(self, address: str) -> bool:
        try:
            labels = (urlsplit(address).hostname or "").lower().strip(".").split(".")
        except ValueError:
            return False
        return any(".".join(labels[start:]) in self._hosts for start in range(len(labels)))

    def content(self, sha256: str | None, phash: str | None = None) -> Kind | None:
        """What covers an image by its content."""
        if sha256 is not None and sha256 in self._sets.get("sha256", ()):
            return "sha256"
        if phash is not None and len(self._phash):
            apart = np.bitwise_count(self._phash ^ np.uint64(int(phash, 16)))
            if (apart <= self._distance).any():
                return "phash"
        return None

    def text(self, texts: Iterable[str | None]) -> Kind | None:
        """What covers a page by its texts, read one after the other."""
        if not self._phrases:
            return None
        whole = plain(" ".join(text for text in texts if text))
        return "text" if any(phrase in whole for phrase in self._phrases) else None
