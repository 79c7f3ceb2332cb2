"""The journal of a fetch: what was done, written as it happens, so that a killed job resumes.

A journal is a folder of segments. A segment is a sequence of entries: magic number, length,
checksum, a JSON object. On a local disk a segment can be read while it is written, and ends at an
entry that a kill left incomplete. Object stores show a file only when it is closed, so segments are
kept short there. The name of a segment holds the range of slots (hashed owners) of its writer:
readers with other ranges, as after a change of the number of tasks, open only segments that overlap
theirs.

The bytes of an image are written before the entry that names their place, so everything that the
journal holds after a kill is true. A task writes equal bytes once.

Entries are checked against the tables' schemas, by one function when they are written and when they
are read: what the journal accepts, the tables can hold.
"""

from __future__ import annotations

import json
import struct
import time
import uuid
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Annotated, Any, Literal, NotRequired, get_type_hints

import pyarrow as pa
import xxhash
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from benben.common.text import describe
from benben.pipeline import storage
from benben.pipeline.consent.site_files import SiteFile
from benben.pipeline.images.fetch.request import Outcome
from benben.pipeline.images.fetch.resolver import owner
from benben.pipeline.images.store import tar_shards
from benben.pipeline.images.store.tar_shards import TarShard
from benben.pipeline.schema import IMAGE_PLACES, IMAGES
from benben.pipeline.settings.fetch import FetchSettings

VERSION = 3  # raise it when equal bytes lead to another outcome: old journals are then not used
MAGIC = b"BBJ2"
ENDING = ".journal"
PREFIX = struct.Struct(">4sII")  # magic number, bytes, CRC-32
SLOTS = 2**31
SEGMENT_BYTES = 16 << 20  # readers hold a whole segment in memory
OBJECT_STORE_SECONDS = 60.0  # work that a kill may lose on an object store
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SlotRange:
    """The slots in [low, high): the hosts of one task."""

    low: int
    high: int

    @classmethod
    def of(cls, task: int, tasks: int) -> SlotRange:
        """The range of task `task` of `tasks`."""
        return cls(task * SLOTS // tasks, (task + 1) * SLOTS // tasks)

    def __contains__(self, slot: int) -> bool:
        return self.low <= slot < self.high

    def new_name(self) -> str:
        """A unique file name that holds the range."""
        return f"{self.low:08x}-{self.high:08x}-{uuid.uuid4().hex}"


def slot_of(url: str) -> int:
    """Slot of a URL's owner."""
    return int(xxhash.xxh3_64_intdigest(owner(url).encode("utf-8", "surrogatepass"))) % SLOTS


def task_of(slot: int, tasks: int) -> int:
    """The task whose range holds a slot."""
    return ((slot + 1) * tasks - 1) // SLOTS


@dataclass(frozen=True)
class FetchFolders:
    """The two folders that a fetch writes to."""

    journal: str
    shards: str

    def read(self, slots: SlotRange) -> Iterator[Entry]:
        """Entries of the journal for a range of slots."""
        return read(self.journal, slots)


class FetchLog:
    """Writes outcomes to the journal and images to tar shards, for one task.

    Use as a context manager. `stored` holds the `content_key` of each image that earlier runs of
    the task have stored.
    """

    def __init__(
        self, folders: FetchFolders, slots: SlotRange, settings: FetchSettings, stored: set[bytes]
    ) -> None:
        self._folders, self._slots, self._stored = folders, slots, stored
        self._attempt, self._shard_bytes = settings.attempt, settings.shard_bytes
        local = storage.is_local(folders.journal) and storage.is_local(folders.shards)
        self._max_seconds = float("inf") if local else OBJECT_STORE_SECONDS
        self._opened = 0.0
        self._segment: Segment | None = None
        self._shard: TarShard | None = None

    def write_site_file(self, answer: SiteFile) -> None:
        """Write a site's robots.txt or tdmrep.json."""
        self._append(encode({"kind": "site", "slot": slot_of(answer.origin), **asdict(answer)}))

    def write_outcome(self, outcome: Outcome) -> None:
        """Write an outcome, and its bytes unless equal bytes are stored already."""
        moved = outcome.moved
        entry: Entry = {
            "kind": "outcome" if moved is None else "moved",
            "slot": slot_of(outcome.target),
            "url": outcome.url,
            "hops": outcome.hops,
            "attempt": self._attempt,
            "later": outcome.retryable,
        }
        receipt = {"asked": outcome.asked, "sources": outcome.sources, "said": outcome.said}
        entry |= {name: value for name, value in receipt.items() if value}
        if moved is not None:
            entry |= {"target": moved.target, "next": moved.hops}
        else:
            row = outcome.row().items()
            entry["row"] = {name: value for name, value in row if value is not None}
        text = encode(entry)
        try:
            check(text)
        except ValueError as error:  # the table could not hold it
            outcome.fail(error)
            self.write_outcome(outcome)
            return
        place = self._store(outcome) if moved is None else None
        self._append(text if place is None else encode(entry | {"place": place}))

    def _store(self, outcome: Outcome) -> dict[str, Any] | None:
        """Store an outcome's bytes and return their place; None when there are no new ones."""
        picture, kind = outcome.picture, outcome.stored_format
        if picture is None or kind is None or content_key(picture.sha256) in self._stored:
            return None
        if outcome.data is None:
            raise RuntimeError(f"{outcome.url}: its bytes are neither stored nor in memory")
        if self._shard is None:
            self._shard = TarShard(self._folders.shards, self._slots.new_name() + tar_shards.ENDING)
        place = self._shard.append(picture.sha256, kind, outcome.data)
        self._stored.add(content_key(picture.sha256))
        return {"sha256": picture.sha256, "format": kind, **place._asdict()}

    def _append(self, text: bytes) -> None:
        if self._segment is None:
            self._segment = Segment(self._folders.journal, self._slots)
            self._opened = time.monotonic()
        self._segment.append(text)
        full = self._segment.bytes >= SEGMENT_BYTES
        full |= self._shard is not None and self._shard.bytes >= self._shard_bytes
        if full or time.monotonic() - self._opened > self._max_seconds:
            self.close()

    def close(self) -> None:
        """Close the files, the one with the bytes first."""
        if self._shard is not None:
            self._shard.close()
        if self._segment is not None:
            self._segment.close()
        self._shard = self._segment = None

    def __enter__(self) -> FetchLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def content_key(sha256: str) -> bytes:
    """Half of a SHA-256: long enough that nobody can make two images with the same key."""
    return bytes.fromhex(sha256[:32])


class Segment:
    """Appends entries to a new file of a journal."""

    def __init__(self, folder: str, slots: SlotRange) -> None:
        self._stream = storage.open_output(storage.join(folder, slots.new_name() + ENDING))
        self.bytes = 0

    def append(self, text: bytes) -> None:
        """Write one encoded entry; on a local disk it survives this process's end from now on."""
        self._stream.write(PREFIX.pack(MAGIC, len(text), zlib.crc32(text)) + text)
        self.bytes += PREFIX.size + len(text)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def read(folder: str, slots: SlotRange) -> Iterator[Entry]:
    """Entries whose `slot` is in a range, segment by segment, in the order they were written."""
    for path in (path for path in storage.list_files(folder) if path.endswith(ENDING)):
        low, high = (int(bound, 16) for bound in path.rsplit("/", 1)[-1].split("-")[:2])
        if low < slots.high and slots.low < high:
            yield from (entry for entry in _entries(path) if entry["slot"] in slots)


def _entries(path: str) -> Iterator[Entry]:
    data, position = storage.read_bytes(path), 0
    while position + PREFIX.size <= len(data):
        magic, length, checksum = PREFIX.unpack_from(data, position)
        start = position + PREFIX.size
        position = start + length
        text = data[start:position]
        if magic != MAGIC or position > len(data) or zlib.crc32(text) != checksum:
            return  # incomplete after a kill: nothing that follows was finished
        try:
            yield check(text)
        except ValidationError as error:  # of a version that checked less: as if it were not there
            warnings.warn(f"{path}, byte {start}: entry skipped: {describe(error)}", stacklevel=2)


# What an entry may hold


def encode(entry: Entry) -> bytes:
    """Return the JSON text of an entry."""
    return json.dumps(entry, separators=(",", ":")).encode()


def check(text: bytes) -> Entry:
    """Parse an entry. Raises ValidationError for one that the tables cannot hold."""
    return _ENTRY.validate_json(text)


def _integer(bits: int) -> Any:
    return Annotated[int, Field(ge=-(1 << bits - 1), lt=1 << bits - 1)]


_TYPES: dict[pa.DataType, Any] = {
    pa.string(): str,
    pa.bool_(): bool,
    pa.int32(): _integer(32),
    pa.int64(): _integer(64),
    pa.float64(): float,
    pa.list_(pa.float32()): list[float],
}


def _row_type(schema: pa.Schema) -> Any:
    """Return the type of a dictionary that a row of a table can be made from."""
    return _typed({field.name: NotRequired[_TYPES[field.type]] for field in schema})


def _entry(kind: str, **fields: Any) -> Any:
    return _typed({"kind": Literal[kind], "slot": _integer(32), **fields})


def _typed(fields: dict[str, Any]) -> Any:
    entry: Any = TypedDict("entry", fields)  # type: ignore[misc]
    return with_config(ConfigDict(extra="forbid", strict=True))(entry)


_SITE = _entry("site", **get_type_hints(SiteFile))
_RECEIPT = {
    "asked": NotRequired[list[str]], "sources": NotRequired[list[str]], "said": NotRequired[str]
}  # fmt: skip
_REQUEST = {"url": str, "hops": _integer(32), "attempt": _integer(32), "later": bool} | _RECEIPT
_MOVED = _entry("moved", **_REQUEST, target=str, next=_integer(32))
_PLACE = NotRequired[_row_type(IMAGE_PLACES)]
_OUTCOME = _entry("outcome", **_REQUEST, row=_row_type(IMAGES), place=_PLACE)
_ANY: Any = Annotated[_SITE | _MOVED | _OUTCOME, Field(discriminator="kind")]
_ENTRY: TypeAdapter[Entry] = TypeAdapter(_ANY)
