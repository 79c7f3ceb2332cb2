"""A takedown under way: what was found, kept in the run's folder until all of it is gone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from benben.pipeline import storage
from benben.pipeline.takedown.removal import Request
from benben.pipeline.takedown.tombstones import Tombstone, Tombstones

FOLDER = "takedown"  # of a run: the list of tombstones, the log, a takedown under way


class Pending(BaseModel):
    """What a takedown has to remove; found once, so that it can be done in any number of tries."""

    model_config = ConfigDict(extra="forbid")

    number: int  # place in the log, counted from 1
    started: str  # ISO 8601 UTC
    note: str
    tombstones: list[Tombstone]
    documents: dict[str, str] = {}  # doc_id -> reason, shipped or not
    nodes: dict[str, dict[int, str]] = {}  # doc_id -> index of an image node -> reason
    sha256: list[str] = []  # contents that go wherever they are shown
    unused: list[str] = []  # contents that nothing shows once the rest is gone

    @property
    def id(self) -> str:
        """Names a takedown by its place in the log and what it asks for."""
        key = self.model_dump_json(include={"number", "note", "tombstones"})
        return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()

    @property
    def request(self) -> Request:
        """What rows are asked."""
        return Request(Tombstones(self.tombstones), self.documents, frozenset(self.sha256))

    @property
    def images(self) -> list[str]:
        """Contents that leave the stores."""
        return sorted({*self.sha256, *self.unused})


def path(output: str) -> str:
    """Where a run keeps the takedown under way."""
    return storage.join(output, FOLDER, "pending.json")


def read(output: str) -> Pending | None:
    """The takedown under way; None when there is none."""
    place = path(output)
    return Pending.model_validate_json(storage.read_bytes(place)) if storage.exists(place) else None


def write(output: str, pending: Pending) -> None:
    """Begin a takedown: from here on it can be taken up again."""
    storage.write_bytes(path(output), pending.model_dump_json(indent=1).encode())


def same(pending: Pending, tombstones: Sequence[Tombstone]) -> bool:
    """Whether a takedown under way asks for these tombstones, and perhaps more."""
    return set(tombstones) <= set(pending.tombstones)
