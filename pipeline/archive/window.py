"""Reads an archive forward by chunks; archives held in memory or in a temporary file."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable

from benben.pipeline.storage.ranges import Source

PADDING = b"\0\r\n"
HELD_CHUNKS = 3  # kept in memory for looking back


class Bytes:
    """Bytes in memory: a whole file, or the range of a file that begins at `start`."""

    def __init__(self, data: bytes, name: str = "", start: int = 0) -> None:
        self.name, self.data, self.start = name, data, start
        self.size = start + len(data)
        self.chunk = max(1, len(data))

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`."""
        inside = offset - self.start
        return (
            self.data if inside == 0 and length >= len(self.data) else self.data[inside:][:length]
        )


class Spool:
    """Bytes too many for memory, in a temporary file that is deleted when the object goes."""

    start, chunk = 0, 1 << 20

    def __init__(self, name: str = "") -> None:
        self.name, self.size = name, 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the object

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._file.seek(self.size)
        self.size += self._file.write(data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`."""
        self._file.seek(offset)
        return self._file.read(length)


class Window:
    """Reads a source forward by chunks and keeps the last few, so that looking back is cheap."""

    __slots__ = ("_chunk", "_data", "_held", "_start", "size", "source")

    def __init__(self, source: Source, chunk: int | None = None) -> None:
        self.source, self.size, self._chunk = source, source.size, chunk or source.chunk
        self._data, self._start = b"", 0
        self._held: dict[int, bytes] = {}

    def at(self, offset: int) -> memoryview:
        """Return the bytes in memory from `offset` on: at least one, or none at the end."""
        inside = offset - self._start
        if not 0 <= inside < len(self._data):
            self._load(offset)
            inside = offset - self._start
        return memoryview(self._data)[inside:]

    def _load(self, offset: int) -> None:
        if offset >= self.size:
            self._data, self._start = b"", offset
            return
        self._start = offset - (offset - self.source.start) % self._chunk
        data = self._held.pop(self._start, None)
        self._data = self.source.read_at(self._start, self._chunk) if data is None else data
        self._held[self._start] = self._data
        if len(self._held) > HELD_CHUNKS:
            del self._held[next(iter(self._held))]

    def take(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer only at the end."""
        part = self.at(offset)[:length]
        if len(part) == length or not part:
            return bytes(part)
        parts, got = [bytes(part)], len(part)
        while got < length and (part := self.at(offset + got)[: length - got]):
            parts.append(bytes(part))
            got += len(part)
        return b"".join(parts)

    def skip_padding(self, offset: int) -> int:
        """Return the first position from `offset` on that holds no zero byte and no line end."""
        first = self.at(offset)[:1]
        if first and first[0] not in PADDING:
            return offset
        while data := self.at(offset)[:4096]:
            rest = bytes(data).lstrip(PADDING)
            offset += len(data) - len(rest)
            if rest:
                break
        return offset

    def find(
        self, offset: int, pattern: re.Pattern[bytes], test: Callable[[int], bool], stop: int
    ) -> int:
        """Find the first position in [offset, stop) where `pattern` matches and `test` is true.

        A match has at most 64 bytes. Returns `stop` when there is no such position.
        """
        while offset < stop:
            data = self.take(offset, self._chunk + 64)
            for found in pattern.finditer(data, 0):
                if offset + found.start() >= stop:
                    return stop
                if found.start() < self._chunk and test(offset + found.start()):
                    return offset + found.start()
            offset += self._chunk
        return stop
