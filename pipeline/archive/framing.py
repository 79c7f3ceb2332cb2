"""The records of an archive in order: framed, checked, and found again after damage.

Three forms are read: gzip members (one record each, or all records in one), plain WARC, plain
ARC. FastWARC parses the heads of records but does not walk the archive: its iterator ends at the
first damage, gives out bodies before their checksum is known, and lets a record with a wrong
length swallow the next one. Here a record counts once its length agrees with what follows it.

A record belongs to the stretch [start, end) in which its first byte lies, so a file may be
divided at any positions and each record is read once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from benben.pipeline.archive.members import GZIP_START, Member, begins_member, inflate
from benben.pipeline.archive.record_head import (
    ARC_START,
    PROBED_HEAD_BYTES,
    WARC_START,
    Head,
    parse_head,
)
from benben.pipeline.archive.source import Bytes, Window

Form = re.Pattern[bytes]

SCAN = 64 << 20  # bytes searched for a first record before a file is given up
PROBE = 64 << 10  # bytes read at once of the archive's beginning, to see what it is
JOIN = 64 << 20  # bytes of a record that is cut into several members
TRUNCATED = "record.truncated"
MEMBER = 4 << 30  # decompressed bytes of one member: whole archives are one member at times
_WARC_TAIL = re.compile(rb"\r?\n\r?\n|[\r\n]{0,3}(?:\Z|WARC/[01]|\0)")
_ARC_TAIL = re.compile(rb"\r?\n|\Z")


@dataclass(slots=True)
class Loss:
    """A stretch of an archive that could not be read; reading went on behind it."""

    offset: int
    length: int
    reason: str


@dataclass(slots=True)
class Record:
    """A record whose length agrees with what follows it."""

    offset: int  # in the archive; that of its member when compressed
    length: int  # bytes in the archive: its member's, or up to the next record
    head: Head
    window: Window  # holds the block, decompressed
    at: int  # position of the block in `window`
    cut: bool = False  # the archive ends before the record does; `head.length` is what is there


def read_records(window: Window, start: int, end: int) -> Iterator[Record | Loss]:
    """Yield the records whose first byte lies in [start, end), and the stretches lost."""
    if start >= end:
        return
    origin = window.source.start
    form = _form(window if start <= origin else Window(window.source, PROBE), origin)
    if form is None:
        if start <= origin and window.skip_padding(origin) < window.size:
            yield Loss(origin, window.size - origin, "unknown-format")
        return
    position = origin if start <= origin else _next(window, start, form)
    if form is GZIP_START:
        yield from _compressed(window, position, end)
    else:
        yield from _plain(window, position, end, form)


def _form(window: Window, origin: int) -> Form | None:
    """The pattern the archive's records begin with, also when its first one is damaged."""
    first = window.skip_padding(origin)
    stop = min(window.size, origin + SCAN)
    found: tuple[int, Form | None] = (stop, None)
    for form in (GZIP_START, WARC_START, ARC_START):
        if form.match(window.take(first, 64)) and _begins(window, form, first):
            return form
    for form in (GZIP_START, WARC_START, ARC_START):
        position = window.find(first, form, partial(_begins, window, form), found[0])
        found = (position, form) if position < found[0] else found
    damaged = GZIP_START if GZIP_START.match(window.take(first, 4)) else None
    return found[1] or damaged


def _begins(window: Window, form: Form, position: int) -> bool:
    if form is GZIP_START:
        return begins_member(window, position)
    head = parse_head(window, position, PROBED_HEAD_BYTES)
    return head is not None and _ends(window, position + head.size + head.length, form)


def _ends(window: Window, position: int, form: Form) -> bool:
    """Tell whether a record may end here, so that its length can be believed."""
    if position > window.size:
        return False
    tail = _ARC_TAIL if form is ARC_START else _WARC_TAIL
    return tail.match(window.take(position, 8)) is not None


def _next(window: Window, position: int, form: Form) -> int:
    return window.find(position, form, partial(_begins, window, form), window.size)


def _plain(window: Window, position: int, end: int, form: Form) -> Iterator[Record | Loss]:
    while (position := window.skip_padding(position)) < window.size:
        if position >= end and _begins(window, form, position):
            return  # what does not begin a record is ours still: the next stretch won't see it
        head = parse_head(window, position)
        stop = position + head.size + head.length if head else position
        block = position + head.size if head else position
        if head is not None and _ends(window, stop, form):
            behind = window.skip_padding(stop)
            yield Record(position, behind - position, head, window, block)
        else:
            behind = _next(window, max(block, position + 1), form)
            if head is not None and stop > window.size == behind:
                head.length = window.size - block
                yield Record(position, behind - position, head, window, block, cut=True)
            else:
                reason = "record.length" if head else "record.no-head"
                yield Loss(position, behind - position, reason)
        position = behind


def _compressed(window: Window, position: int, end: int) -> Iterator[Record | Loss]:
    cut: Member | None = None  # its last record goes on in the next member
    while (position := window.skip_padding(position)) < window.size:
        if position >= end and cut is None and begins_member(window, position):
            return
        member = inflate(window, position, MEMBER)
        position += member.length
        if member.broken:
            position = _next(window, member.offset + 1, GZIP_START)
            member.length = position - member.offset
        if cut is not None:
            if member.broken or _begins_inside(member):
                yield Loss(cut.offset, cut.length, TRUNCATED)
            else:
                member = _join(cut, member)
            cut = None
        for item in _inside(member):
            if isinstance(item, Member):
                cut = item
            else:
                yield item
    if cut is not None:
        yield Loss(cut.offset, cut.length, TRUNCATED)


def _inside(member: Member) -> Iterator[Record | Loss | Member]:
    """The records of a member; a last one that is cut off comes as a member of its own."""
    content = Window(member.content)
    first = content.skip_padding(0)
    form = ARC_START if ARC_START.match(content.take(first, 16)) else WARC_START
    last: Record | None = None
    for item in _plain(content, first, content.size, form):
        if last is not None:
            yield last
            last = None
        if isinstance(item, Loss):
            if not member.broken:
                yield Loss(member.offset, member.length, item.reason)
        elif not item.cut:
            last = Record(member.offset, member.length, item.head, content, item.at)
        elif not member.broken:
            start = item.at - item.head.size
            rest = Bytes(content.take(start, min(content.size - start, JOIN)))
            yield Member(member.offset, member.length, rest)
    if member.broken:  # its last record is not whole, or no checksum vouches for it
        yield Loss(member.offset, member.length, member.broken)
    elif last is not None:
        yield last


def _begins_inside(member: Member) -> bool:
    content = Window(member.content)
    return parse_head(content, content.skip_padding(0)) is not None


def _join(cut: Member, member: Member) -> Member:
    data = b"".join(part.content.read_at(0, part.content.size) for part in (cut, member))
    return Member(cut.offset, member.offset + member.length - cut.offset, Bytes(data))
