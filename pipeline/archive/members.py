"""gzip members (RFC 1952) of an archive, decompressed and checked one at a time.

Archives are written with one record a member, so a member is the unit that damage spoils, the
unit a range request fetches, and the unit a file may be divided at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from benben.pipeline.archive.inflate import CorruptError, Inflate
from benben.pipeline.archive.record_head import ARC_START, WARC_START
from benben.pipeline.archive.source import PADDING, Bytes, Source, Spool, Window

GZIP_START = re.compile(rb"\x1f\x8b\x08")
PIECE = 64 << 10  # compressed bytes fed at once: what follows a member's end is copied
PEEK = 2048  # compressed bytes that show how a member begins
IN_MEMORY = 64 << 20  # decompressed bytes; more go to a temporary file


@dataclass(slots=True)
class Member:
    """A member's place and content; `broken` says why the content is not all or not sure."""

    offset: int
    length: int  # compressed bytes read
    content: Source
    broken: str | None = None


def begins_member(window: Window, offset: int) -> bool:
    """Tell whether a member begins at `offset` whose content begins a record."""
    if not GZIP_START.match(window.take(offset, 3)):
        return False
    try:
        text = Inflate("gzip").feed(window.take(offset, PEEK), 256).lstrip(PADDING)
    except CorruptError:
        return False
    return bool(WARC_START.match(text) or ARC_START.match(text))


def inflate(window: Window, offset: int, max_bytes: int) -> Member:
    """Decompress the member at `offset`, at most `max_bytes` of it."""
    stream = Inflate("gzip")
    parts: list[bytes] = []
    spool: Spool | None = None
    position, held, broken = offset, 0, None
    while not stream.finished and broken is None:
        data = window.at(position)[:PIECE]
        try:
            text = stream.feed(data)
        except CorruptError:
            broken = "gzip.corrupt"
            break
        position += len(data)
        held += len(text)
        if spool is not None:
            spool.append(text)
        else:
            parts.append(text)
        if spool is None and held > IN_MEMORY:
            spool = Spool()
            spool.append(b"".join(parts))
        if held > max_bytes:
            broken = "gzip.too-large"
        elif not data:
            broken = "gzip.truncated"
    content = spool or Bytes(b"".join(parts))
    return Member(offset, position - len(stream.rest) - offset, content, broken)
