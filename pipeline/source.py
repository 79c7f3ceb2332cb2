"""Bytes of an archive by position, from a local file, an object store or the web."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pipeline import storage

CHUNK = 1 << 20  # bytes read ahead


class Source(Protocol):
    """A file of known size that is read by ranges."""

    name: str
    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`, fewer than `length` only at the end. Raises OSError."""


class StoredFile:
    """A local file or an object of a store `pipeline.storage` knows."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._stream = storage.open_input(url)
        self.size = int(self._stream.size())

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`."""
        return bytes(self._stream.read_at(min(length, max(0, self.size - offset)), offset))


class Bytes:
    """Bytes at hand, such as one record's range: positions are those of the file they come from."""

    def __init__(self, data: bytes, name: str, start: int = 0) -> None:
        self.name, self._data, self._start = name, data, start
        self.size = start + len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`."""
        return self._data[offset - self._start : offset - self._start + length]


def open_source(url: str) -> Source:
    """Open an archive for range reads. Raises OSError."""
    return StoredFile(url)


class Window:
    """Reads a source forward by chunks; `at` gives the bytes at hand from a position on."""

    def __init__(self, source: Source, chunk: int = CHUNK) -> None:
        self.source, self.size, self._chunk = source, source.size, chunk
        self._data, self._start = b"", 0

    def at(self, offset: int) -> memoryview:
        """At least one byte from `offset` on, as many as are at hand; empty at the end."""
        inside = offset - self._start
        if not 0 <= inside < len(self._data):
            self._data = self.source.read_at(offset, self._chunk) if offset < self.size else b""
            self._start, inside = offset, 0
        return memoryview(self._data)[inside:]

    def take(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`, fewer only at the end."""
        parts, got = [], 0
        while got < length:
            part = self.at(offset + got)[: length - got]
            if not part:
                break
            parts.append(bytes(part))
            got += len(part)
        return b"".join(parts)

    def find(self, offset: int, pattern: bytes, test: Callable[[int], bool]) -> int:
        """First position from `offset` on where `pattern` stands and `test` agrees, else size."""
        keep = len(pattern) - 1
        while offset < self.size:
            data = self.take(offset, self._chunk)
            found = data.find(pattern)
            while found >= 0:
                if test(offset + found):
                    return offset + found
                found = data.find(pattern, found + 1)
            if len(data) <= keep:
                break
            offset += len(data) - keep if len(data) > keep else len(data)
            if offset + keep >= self.size:
                break
        return self.size
