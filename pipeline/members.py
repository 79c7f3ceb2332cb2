"""Cuts an archive into gzip members (RFC 1952), each checked before it is passed on.

Archives are written with one record a member, so a member is the unit that damage spoils and
the unit a file may be split at. After a bad member the next one that begins a record is found.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from isal import isal_zlib

from pipeline.source import Window

MAGIC = b"\x1f\x8b\x08"
PEEK = 512  # compressed bytes enough to see how a record begins
MAX_MEMBER = 1 << 30


@dataclass(slots=True)
class Loss:
    """A stretch of an archive that could not be read; reading went on behind it."""

    offset: int
    length: int
    reason: str


@dataclass(slots=True)
class Member:
    """One gzip member: where it lies, and its content."""

    offset: int
    length: int  # compressed bytes
    data: bytes


def begins_record(data: bytes) -> bool:
    """Tell whether decompressed bytes begin a WARC or ARC record."""
    text = data.lstrip(b"\r\n")
    return text.startswith((b"WARC/", b"filedesc://")) or text[:8].startswith(
        (b"http://", b"https://", b"dns:")
    )


def read_members(window: Window, start: int, end: int) -> Iterator[Member | Loss]:
    """Yield the members whose first byte lies in [start, end), and what is lost between them."""
    position = start if start == 0 else _next_member(window, start)
    while position < min(end, window.size):
        member = inflate(window, position)
        if isinstance(member, Member):
            yield member
            position += member.length
            continue
        behind = _next_member(window, position + 1)
        if any(window.take(position, 4096)) or behind < window.size:
            yield Loss(position, behind - position, member)
        position = behind


def inflate(window: Window, offset: int) -> Member | str:
    """Decompress the member at `offset`, or say what is wrong with it."""
    stream = isal_zlib.decompressobj(zlib.MAX_WBITS | 16)
    parts: list[bytes] = []
    position, total = offset, 0
    try:
        while not stream.eof:
            data = window.at(position)[:65536]
            if not data:
                return "gzip.truncated"
            parts.append(stream.decompress(data))
            position += len(data)
            total += len(parts[-1])
            if total > MAX_MEMBER:
                return "gzip.too-large"
    except isal_zlib.error:
        return "gzip.corrupt" if parts else "gzip.no-member"
    end = position - len(stream.unused_data)
    return Member(offset, end - offset, b"".join(parts))


def _next_member(window: Window, offset: int) -> int:
    return window.find(offset, MAGIC, lambda position: _is_member(window, position))


def _is_member(window: Window, offset: int) -> bool:
    stream = isal_zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        return begins_record(stream.decompress(window.take(offset, PEEK), 64))
    except isal_zlib.error:
        return False
