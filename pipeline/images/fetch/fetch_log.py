"""Writes what becomes of images as they come: outcomes to the journal, bytes to tar shards.

Bytes go before the outcome that names their place, so that whatever the journal holds after a kill
is true. Equal bytes are written once a task.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from benben.pipeline import storage
from benben.pipeline.consent.image_consent import SiteFile
from benben.pipeline.images.fetch import journal
from benben.pipeline.images.fetch.journal import Frame, Range, Segment, slot_of
from benben.pipeline.images.fetch.outcome import Outcome
from benben.pipeline.images.store.tar_shards import Place, TarShard
from benben.pipeline.settings.fetch import FetchSettings

STORE_SECONDS = 60.0  # object stores show a file when it is closed; so much a kill may cost there
SEGMENT_BYTES = 16 << 20  # a journal's segment is read whole


@dataclass(frozen=True)
class Store:
    """The two folders a fetch writes to."""

    journal: str
    shards: str

    def read(self, share: Range) -> Iterator[Frame]:
        """Frames of a range of slots."""
        return journal.read(self.journal, share)


class Recorder:
    """Writes for one task. Use as a context manager.

    `held`: what the task's earlier runs have stored, by `content_key`.
    """

    def __init__(
        self, store: Store, share: Range, settings: FetchSettings, held: set[bytes]
    ) -> None:
        self._store, self._share, self._held = store, share, held
        self._attempt, self._shard_bytes = settings.attempt, settings.shard_bytes
        local = storage.is_local(store.journal) and storage.is_local(store.shards)
        self._seconds = float("inf") if local else STORE_SECONDS
        self._opened = 0.0
        self._segment: Segment | None = None
        self._shard: TarShard | None = None

    def site(self, answer: SiteFile) -> None:
        """Write a site's robots.txt or tdmrep.json."""
        self._append({"kind": "site", "slot": slot_of(answer.origin), **asdict(answer)})

    def outcome(self, outcome: Outcome) -> None:
        """Write an outcome, and its bytes unless equal ones are there."""
        moved = outcome.moved
        frame: Frame = {
            "kind": "outcome" if moved is None else "moved",
            "slot": slot_of(outcome.target),
            "url": outcome.url,
            "hops": outcome.hops,
            "attempt": self._attempt,
            "later": outcome.later,
        }
        if moved is not None:
            self._append(frame | {"target": moved.target, "next": moved.hops})
            return
        row = {name: value for name, value in outcome.row().items() if value is not None}
        place = self._keep(outcome)
        self._append(frame | {"row": row} | ({} if place is None else {"place": place}))

    def _keep(self, outcome: Outcome) -> dict[str, Any] | None:
        """Store the bytes that an outcome brings; None when it brings none that are new."""
        picture, kind = outcome.picture, outcome.stored_format
        if picture is None or kind is None or content_key(picture.sha256) in self._held:
            return None
        if outcome.data is None:
            raise RuntimeError(f"{outcome.url}: its bytes are neither stored nor at hand")
        if self._shard is None:
            self._shard = TarShard(self._store.shards, self._share)
        place = self._shard.append(picture.sha256, kind, outcome.data)
        self._held.add(content_key(picture.sha256))
        return {"sha256": picture.sha256, "format": kind, **place._asdict()}

    def _append(self, frame: Frame) -> None:
        if self._segment is None:
            self._segment = Segment(self._store.journal, self._share)
            self._opened = time.monotonic()
        self._segment.append(frame)
        full = self._segment.bytes >= SEGMENT_BYTES
        full |= self._shard is not None and self._shard.bytes >= self._shard_bytes
        if full or time.monotonic() - self._opened > self._seconds:
            self.close()

    def close(self) -> None:
        """End the files: the bytes first."""
        if self._shard is not None:
            self._shard.close()
        if self._segment is not None:
            self._segment.close()
        self._shard = self._segment = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def content_key(sha256: str) -> bytes:
    """Half a SHA-256: enough that nobody can make two contents that share it."""
    return bytes.fromhex(sha256[:32])


def place_of(frame: Frame) -> Place:
    """Where the bytes lie that an outcome brought."""
    place = frame["place"]
    return Place(place["shard"], place["offset"], place["num_bytes"])
