"""Tar shards of an image store without some of their pictures."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Set
from typing import Any, BinaryIO, NamedTuple

from pipeline import storage

CHUNK = 16 << 20


class Member(NamedTuple):
    """A member of a tar file."""

    sha256: str  # its name up to the first dot
    position: int  # of its head
    size: int  # of its data


def blank(path: str, sha256: Set[str]) -> int:
    """Put zeros, and a name that says nothing, in place of some pictures; returns how many.

    All else stays where it is, so places that a table names hold. The file is exchanged whole.
    """
    with storage.open_input(path) as source:
        gone = [one for one in members(source) if one.sha256 in sha256]
        if gone:
            with storage.new_file(path) as out:
                position = 0
                for number, member in enumerate(gone):
                    _copy(source, out, position, member.position)
                    head = tarfile.TarInfo(f"removed.{number}")
                    head.size = member.size
                    out.write(head.tobuf(tarfile.USTAR_FORMAT))
                    position = member.position + tarfile.BLOCKSIZE + member.size
                    _zeros(out, member.size)
                _copy(source, out, position, source.size())
    return len(gone)


def members(source: Any) -> Iterator[Member]:
    """Members of an open tar file, by their heads alone."""
    position, size = 0, source.size()
    while position + tarfile.BLOCKSIZE <= size:
        try:
            head = tarfile.TarInfo.frombuf(
                source.read_at(tarfile.BLOCKSIZE, position), "utf-8", "strict"
            )
        except tarfile.HeaderError:  # its end
            return
        yield Member(head.name.partition(".")[0], position, head.size)
        position += tarfile.BLOCKSIZE + head.size + -head.size % tarfile.BLOCKSIZE


def _copy(source: Any, out: BinaryIO, start: int, end: int) -> None:
    while start < end:
        data = source.read_at(min(CHUNK, end - start), start)
        out.write(data)
        start += len(data)


def _zeros(out: BinaryIO, size: int) -> None:
    for start in range(0, size, CHUNK):
        out.write(bytes(min(CHUNK, size - start)))
