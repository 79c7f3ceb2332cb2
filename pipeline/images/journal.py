"""What a fetch has done so far, appended as it happens: a killed job goes on where it was.

A journal is a folder of segments. A segment is a sequence of frames: magic, lengths, checksums, a
JSON header, raw bytes. Segments on a local disk can be read while they are written; a torn last
frame ends a segment. Object stores show a segment when it is closed, so segments stay short.
A segment's name holds the range of slots (hashed owners) its writer was given: readers with other
ranges, as after a change of the number of tasks, open only those that overlap theirs.
"""

from __future__ import annotations

import json
import struct
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import xxhash

from pipeline import storage
from pipeline.images.outcome import owner

MAGIC = b"BBJ1"
ENDING = ".journal"
VERSION = 1  # raise it when equal bytes come to another outcome, so that old journals are left
PREFIX = struct.Struct(">4sIIII")  # magic, header bytes, data bytes, CRC-32 of each
SLOTS = 2**31
Wanted = Callable[[dict[str, Any]], bool]
SEGMENT_SECONDS, SEGMENT_BYTES = 60.0, 256 << 20


@dataclass(frozen=True, slots=True)
class Range:
    """Slots in [low, high): the share of one task."""

    low: int
    high: int

    @classmethod
    def of(cls, task: int, tasks: int) -> Range:
        """The share of task `task` of `tasks`."""
        return cls(task * SLOTS // tasks, (task + 1) * SLOTS // tasks)

    def __contains__(self, slot: int) -> bool:
        return self.low <= slot < self.high


@dataclass(slots=True)
class Frame:
    """One entry; `data` is None when only headers are read."""

    header: dict[str, Any]
    data: bytes | None


def slot_of(url: str) -> int:
    """Slot of the host that a URL belongs to."""
    return int(xxhash.xxh3_64_intdigest(owner(url).encode("utf-8", "surrogatepass"))) % SLOTS


def task_of(slot: int, tasks: int) -> int:
    """The task whose range holds a slot."""
    return ((slot + 1) * tasks - 1) // SLOTS


class Writer:
    """Appends frames; a new segment begins after a while. Use as a context manager."""

    def __init__(self, folder: str, share: Range) -> None:
        self._folder, self._share = folder, share
        self._stream: Any = None
        self._written, self._opened = 0, 0.0

    def append(self, header: dict[str, Any], data: bytes = b"") -> None:
        """Write one frame; on a local disk it outlives this process at once."""
        text = json.dumps(header, separators=(",", ":")).encode()
        sums = zlib.crc32(text), zlib.crc32(data)
        frame = PREFIX.pack(MAGIC, len(text), len(data), *sums) + text + data
        if self._stream is None:
            name = f"{self._share.low:08x}-{self._share.high:08x}-{uuid.uuid4().hex}{ENDING}"
            self._stream = storage.open_output(storage.join(self._folder, name))
            self._written, self._opened = 0, time.monotonic()
        self._stream.write(frame)
        self._written += len(frame)
        age = time.monotonic() - self._opened
        if self._written > SEGMENT_BYTES or age > SEGMENT_SECONDS:
            self.close()

    def close(self) -> None:
        """End the segment."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read(folder: str, share: Range, wanted: Wanted = lambda _: False) -> Iterator[Frame]:
    """Frames whose header's `slot` lies in a range, segment by segment, in order of writing.

    Data is read where `wanted(header)` says so.
    """
    for path in (path for path in storage.list_files(folder) if path.endswith(ENDING)):
        low, high = (int(bound, 16) for bound in path.rsplit("/", 1)[-1].split("-")[:2])
        if low < share.high and share.low < high:
            yield from _segment(path, share, wanted)


def _segment(path: str, share: Range, wanted: Wanted) -> Iterator[Frame]:
    with storage.open_input(path) as stream:
        size, position = stream.size(), 0
        while position + PREFIX.size <= size:
            stream.seek(position)
            magic, head, body, head_sum, body_sum = PREFIX.unpack(stream.read(PREFIX.size))
            position += PREFIX.size + head + body
            if magic != MAGIC or position > size:
                return  # torn by a kill: what follows was never finished
            text = stream.read(head)
            if zlib.crc32(text) != head_sum:
                return
            header = json.loads(text)
            if header["slot"] not in share:
                continue
            data = bytes(stream.read(body)) if wanted(header) else None
            if data is not None and zlib.crc32(data) != body_sum:
                return
            yield Frame(header, data)
