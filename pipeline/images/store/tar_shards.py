"""Image bytes in tar files of bounded size, which `tar` and WebDataset read: SHA256.FORMAT.

A tar file grows member by member, so it holds the images while they are fetched as well as
afterwards: bytes are written once. Another file, first the journal, holds the place of each image.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Set
from typing import BinaryIO, NamedTuple

from benben.pipeline import storage

ENDING = ".tar"
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
ERASED = "erased"  # name of a member that was taken down
SUFFIXES = {"jpeg": "jpg"}  # format -> suffix of a member's name, where they differ
# Images that are at most GAP_BYTES apart are read at once, up to SPAN_BYTES.
GAP_BYTES, SPAN_BYTES = 1 << 20, 16 << 20


class Place(NamedTuple):
    """Where the bytes of an image are."""

    shard: str  # file name
    offset: int
    num_bytes: int


class TarShard:
    """Appends images to a new file. On a local disk each survives the end of this process."""

    def __init__(self, folder: str, name: str) -> None:
        self.name = name
        self.bytes = 0
        self._stream = storage.open_output(storage.join(folder, self.name))

    def append(self, sha256: str, kind: str, data: bytes) -> Place:
        """Write one image; return its place."""
        member = tarfile.TarInfo(f"{sha256}.{SUFFIXES.get(kind, kind)}")
        member.size = len(data)
        head = member.tobuf(tarfile.USTAR_FORMAT)
        self._stream.write(b"".join((head, data, bytes(-len(data) % BLOCK))))
        place = Place(self.name, self.bytes + len(head), len(data))
        self.bytes += len(head) + _padded(len(data))
        return place

    def close(self) -> None:
        """Write the end marker of tar and close the file."""
        self._stream.write(END)
        self._stream.close()


def read(path: str, places: Iterable[Place]) -> Iterator[bytes]:
    """Bytes of images of one file, given by ascending offset; neighbours are read at once."""
    with storage.open_input(path) as stream:
        for span in _spans(places):
            start = span[0].offset
            data = stream.read_at(span[-1].offset + span[-1].num_bytes - start, start)
            for place in span:
                first = place.offset - start
                yield data[first : first + place.num_bytes]


def repair(path: str) -> None:
    """Cut off a last image that a kill left incomplete, and write the end marker of tar.

    Only files on a local disk can be incomplete. The file must not have a writer any more.
    """
    local = storage.local_path(path)
    if local is None:
        return
    with open(local, "r+b") as file:
        size, position = os.fstat(file.fileno()).st_size, 0
        while position + BLOCK <= size:
            file.seek(position)
            try:
                member = tarfile.TarInfo.frombuf(file.read(BLOCK), "utf-8", "strict")
            except tarfile.HeaderError:  # the end marker, or an incomplete header
                break
            after = position + BLOCK + _padded(member.size)
            if after > size:
                break
            position = after
        if size != position + len(END):
            file.truncate(position)
            file.seek(position)
            file.write(END)


def erase(path: str, digests: Set[str]) -> int:
    """Blank the images with these SHA-256, name and bytes; return their number.

    The places of the other images stay valid. After a call that was stopped, call again.
    """
    found = list(_members(path, digests))
    if not found:
        return 0
    local = storage.local_path(path)
    if local is not None:
        with open(local, "r+b") as file:
            _blank(file, found)
    else:  # an object can only be written as a whole
        with storage.open_input(path) as source, storage.new_file(path) as target:
            shutil.copyfileobj(source, target, SPAN_BYTES)
            _blank(target, found)
    return len(found)


def _members(path: str, digests: Set[str]) -> Iterator[tuple[int, int]]:
    """Position and size of the members that are named by one of the digests."""
    with storage.open_input(path) as stream:
        size, position = stream.size(), 0
        while position + BLOCK <= size:
            try:
                head = bytes(stream.read_at(BLOCK, position))
                member = tarfile.TarInfo.frombuf(head, "utf-8", "strict")
            except tarfile.HeaderError:
                return
            if member.name.partition(".")[0] in digests:
                yield position, member.size
            position += BLOCK + _padded(member.size)


def _blank(file: BinaryIO, members: Iterable[tuple[int, int]]) -> None:
    for position, size in members:
        file.seek(position + BLOCK)
        file.write(bytes(size))
        blank = tarfile.TarInfo(ERASED)
        blank.size = size
        file.seek(position)
        file.write(blank.tobuf(tarfile.USTAR_FORMAT))


def _spans(places: Iterable[Place]) -> Iterator[list[Place]]:
    span: list[Place] = []
    for place in places:
        end = place.offset + place.num_bytes
        if span and (
            place.offset - span[-1].offset - span[-1].num_bytes > GAP_BYTES
            or end - span[0].offset > SPAN_BYTES
        ):
            yield span
            span = []
        span.append(place)
    if span:
        yield span


def _padded(size: int) -> int:
    return size + -size % BLOCK
