"""What a fetch has done so far, appended as it happens: a killed job goes on where it was.

A journal is a folder of segments. A segment is a sequence of frames: magic, length, checksum, a
JSON object. Segments on a local disk can be read while they are written; a torn last frame ends a
segment. Object stores show a segment when it is closed, so segments stay short there.
A segment's name holds the range of slots (hashed owners) its writer was given: readers with other
ranges, as after a change of the number of tasks, open only those that overlap theirs.
"""

from __future__ import annotations

import json
import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import xxhash

from benben.pipeline import storage
from benben.pipeline.images.fetch.outcome import owner

MAGIC = b"BBJ2"
ENDING = ".journal"
VERSION = 2  # raise it when equal bytes come to another outcome, so that old journals are left
PREFIX = struct.Struct(">4sII")  # magic, bytes, CRC-32
SLOTS = 2**31
Frame = dict[str, Any]


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

    def new_name(self) -> str:
        """A file name that tells the range, as no other file has it."""
        return f"{self.low:08x}-{self.high:08x}-{uuid.uuid4().hex}"


def slot_of(url: str) -> int:
    """Slot of the host that a URL belongs to."""
    return int(xxhash.xxh3_64_intdigest(owner(url).encode("utf-8", "surrogatepass"))) % SLOTS


def task_of(slot: int, tasks: int) -> int:
    """The task whose range holds a slot."""
    return ((slot + 1) * tasks - 1) // SLOTS


class Segment:
    """Appends frames to a new file."""

    def __init__(self, folder: str, share: Range) -> None:
        self._stream = storage.open_output(storage.join(folder, share.new_name() + ENDING))
        self.bytes = 0

    def append(self, frame: Frame) -> None:
        """Write one frame; on a local disk it outlives this process at once."""
        text = json.dumps(frame, separators=(",", ":")).encode()
        self._stream.write(PREFIX.pack(MAGIC, len(text), zlib.crc32(text)) + text)
        self.bytes += PREFIX.size + len(text)

    def close(self) -> None:
        """End the segment."""
        self._stream.close()


def read(folder: str, share: Range) -> Iterator[Frame]:
    """Frames whose `slot` lies in a range, segment by segment, in order of writing."""
    for path in (path for path in storage.list_files(folder) if path.endswith(ENDING)):
        low, high = (int(bound, 16) for bound in path.rsplit("/", 1)[-1].split("-")[:2])
        if low < share.high and share.low < high:
            yield from (frame for frame in _frames(path) if frame["slot"] in share)


def _frames(path: str) -> Iterator[Frame]:
    data, position = storage.read_bytes(path), 0
    while position + PREFIX.size <= len(data):
        magic, length, checksum = PREFIX.unpack_from(data, position)
        start = position + PREFIX.size
        position = start + length
        text = data[start:position]
        if magic != MAGIC or position > len(data) or zlib.crc32(text) != checksum:
            return  # torn by a kill: what follows was never finished
        yield json.loads(text)
