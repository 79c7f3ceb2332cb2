"""The records of an archive in order: parsed, checked, and found again after damage.

Three forms are read: gzip members (RFC 1952; one record each, or all records in one), plain WARC,
plain ARC. FastWARC parses the heads of records but does not walk the archive: its iterator ends at
the first damage, yields bodies before their checksum is known, and lets a record with a wrong
length swallow the next one. Here a record counts once its length agrees with what follows it.

A record belongs to the stretch [start, end) in which its first byte lies, so a file may be divided
at any positions and each record is read once.

WARC: ISO 28500, versions 0.x and 1.x. ARC versions 1 and 2:
https://archive.org/web/researcher/ArcFileFormat.php.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Literal

from fastwarc.warc import HeaderMap
from isal import isal_zlib

from benben.pipeline.storage.ranges import PADDING, Bytes, Source, Spool, Window

StartPattern = re.Pattern[bytes]
Form = Literal["gzip", "zlib", "raw"]

WARC_START = re.compile(rb"WARC/[01]\.\d{1,3}[ \t]{0,8}\r?\n[\w-]{1,30}[ \t]{0,2}:")
ARC_START = re.compile(rb"(?:https?://|ftp://|dns:|filedesc://)", re.IGNORECASE)
GZIP_START = re.compile(rb"\x1f\x8b\x08")
OTHER_FORMS = {  # first bytes of files that hold records in a form that is not read
    b"\x28\xb5\x2f\xfd": "zstd",  # Zstandard, as .warc.zst
    b"\x5d\x2a\x4d\x18": "zstd",  # with a dictionary before the first record
    b"PK\x03\x04": "zip",  # as WACZ
}
TRUNCATED = "record.truncated"

# Limits of archives, in bytes.
SCAN = 64 << 20  # searched for a first record before a file is given up
PROBE = 64 << 10  # read at once of the archive's beginning, to see what it is
MEMBER = 4 << 30  # decompressed, of one member: some archives are one member as a whole
JOIN = 64 << 20  # of a record that is split over several members
PIECE = 64 << 10  # compressed, fed at once: what follows a member's end is copied
PEEK = 2048  # compressed, to see how a member begins
IN_MEMORY = 64 << 20  # decompressed; more goes to a temporary file

# Limits of heads, in bytes.
HEAD_BYTES = 1 << 20  # longest head
PROBED_HEAD_BYTES = 16 << 10  # longest head of a record that is searched for after damage
LINE_BYTES = 8 << 10  # longest line of a head; FastWARC refuses heads of more than 32 KiB
SHORT = 2048  # enough for nearly every head

_WARC_TAIL = re.compile(rb"\r?\n\r?\n|[\r\n]{0,3}(?:\Z|WARC/[01]|\0)")
_ARC_TAIL = re.compile(rb"\r?\n|\Z")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|\+00:?00)?")
_ARC_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\d*")
_TOKEN, _TOKEN_LENGTH = re.compile(r"[^a-z0-9-]"), 30
_WBITS = {"gzip": zlib.MAX_WBITS | 16, "zlib": zlib.MAX_WBITS, "raw": -zlib.MAX_WBITS}
_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub says instance


@dataclass(slots=True)
class Head:
    """What a record says about itself."""

    size: int  # bytes of the head, the blank line included
    length: int  # bytes of the block
    kind: str  # WARC-Type in lower case
    url: str
    date: str  # ISO 8601 UTC to the second; empty if the record has no valid date
    content_type: str  # of the record, such as "application/http; msgtype=response"
    digest: str  # WARC-Payload-Digest; may be empty or invalid
    segmented: bool = False  # only a part: other records hold the rest
    truncated: str = ""  # WARC-Truncated: length, time, disconnect, unspecified


@dataclass(slots=True)
class Loss:
    """A stretch of an archive that could not be read; reading continued after it."""

    offset: int
    length: int
    reason: str


@dataclass(slots=True)
class Record:
    """A record whose length agrees with what follows it."""

    offset: int  # in the archive; if compressed, that of its member
    length: int  # bytes in the archive: of its member, or up to the next record
    head: Head
    window: Window  # holds the block, decompressed
    at: int  # position of the block in `window`
    cut: bool = False  # the archive ends inside it; `head.length` is what there is


@dataclass(slots=True)
class Member:
    """A gzip member; `broken` says why its content is incomplete or unchecked."""

    offset: int
    length: int  # compressed bytes read
    content: Source
    broken: str | None = None


def read_records(window: Window, start: int, end: int) -> Iterator[Record | Loss]:
    """Yield the records whose first byte lies in [start, end), and the stretches lost."""
    if start >= end:
        return
    origin = window.source.start
    form = _form(window if start <= origin else Window(window.source, PROBE), origin)
    if form is None:
        if start <= origin and window.skip_padding(origin) < window.size:
            reason = OTHER_FORMS.get(window.take(origin, 4), "unknown-format")
            yield Loss(origin, window.size - origin, reason)
        return
    position = origin if start <= origin else _next(window, start, form)
    if form is GZIP_START:
        yield from _compressed(window, position, end)
    else:
        yield from _plain(window, position, end, form)


def _form(window: Window, origin: int) -> StartPattern | None:
    """Return the pattern that records begin with, also if the first one is damaged."""
    first = window.skip_padding(origin)
    stop = min(window.size, origin + SCAN)
    found: tuple[int, StartPattern | None] = (stop, None)
    for form in (GZIP_START, WARC_START, ARC_START):
        if form.match(window.take(first, 64)) and _begins(window, form, first):
            return form
    for form in (GZIP_START, WARC_START, ARC_START):
        position = window.find(first, form, partial(_begins, window, form), found[0])
        found = (position, form) if position < found[0] else found
    damaged = GZIP_START if GZIP_START.match(window.take(first, 4)) else None
    return found[1] or damaged


def _begins(window: Window, form: StartPattern, position: int) -> bool:
    """Tell whether a record begins at `position` whose length agrees with what follows it."""
    if form is GZIP_START:
        return begins_member(window, position)
    head = parse_head(window, position, PROBED_HEAD_BYTES)
    return head is not None and _ends(window, position + head.size + head.length, form)


def _ends(window: Window, position: int, form: StartPattern) -> bool:
    """Tell whether a record may end here, so that its length can be trusted."""
    if position > window.size:
        return False
    tail = _ARC_TAIL if form is ARC_START else _WARC_TAIL
    return tail.match(window.take(position, 8)) is not None


def _next(window: Window, position: int, form: StartPattern) -> int:
    return window.find(position, form, partial(_begins, window, form), window.size)


def _plain(window: Window, position: int, end: int, form: StartPattern) -> Iterator[Record | Loss]:
    while (position := window.skip_padding(position)) < window.size:
        if position >= end and _begins(window, form, position):
            return  # only where a record begins: the next stretch would not report anything else
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
    cut: Member | None = None  # its last record continues in the next member
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
    """Yield the records of a member; a last one that is cut off comes as a member of its own."""
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
    if member.broken:  # its last record is incomplete, or no checksum confirms it
        yield Loss(member.offset, member.length, member.broken)
    elif last is not None:
        yield last


def _begins_inside(member: Member) -> bool:
    """Tell whether the content of a member begins with a record."""
    content = Window(member.content)
    return parse_head(content, content.skip_padding(0)) is not None


def _join(cut: Member, member: Member) -> Member:
    data = b"".join(part.content.read_at(0, part.content.size) for part in (cut, member))
    return Member(cut.offset, member.offset + member.length - cut.offset, Bytes(data))


# Heads.


def parse_head(window: Window, offset: int, longest: int = HEAD_BYTES) -> Head | None:
    """Parse the head at `offset`. Return None if no record begins there."""
    data = window.take(offset, SHORT)
    if data.startswith(b"WARC/"):
        return _parse_warc(window, offset, data, longest)
    return _parse_arc(window, offset, data) if ARC_START.match(data) else None


def _parse_warc(window: Window, offset: int, data: bytes, longest: int) -> Head | None:
    if not WARC_START.match(data):  # the pattern that is searched for after damage or a split
        return None
    size = head_size(data)
    if not size:
        data = window.take(offset, longest)
        size = head_size(data)
        if not size:
            return None
    head = data[:size]
    if not head.endswith(b"\r\n\r\n"):
        head = head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if len(head) > LINE_BYTES:
        lines = [line for line in head.split(b"\r\n") if len(line) <= LINE_BYTES]
        head = b"\r\n".join(lines)
    try:
        parser = HeaderMap()
        parser.parse(BytesIO(head))
    except OSError:
        return None
    fields = {name.lower(): value for name, value in reversed(parser.items())}
    length = fields.get("content-length", "").strip()
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        return None
    return Head(
        size=size,
        length=int(length),
        kind=fields.get("warc-type", "").strip().lower(),
        url=_mend_url(fields.get("warc-target-uri", "")),
        date=_iso_date(_DATE, fields.get("warc-date", "")),
        content_type=fields.get("content-type", ""),
        digest=fields.get("warc-payload-digest", "").strip(),
        segmented="warc-segment-number" in fields,
        truncated=_TOKEN.sub("", fields.get("warc-truncated", "").lower())[:_TOKEN_LENGTH],
    )


def head_size(data: bytes) -> int:
    """Return the size of a head, its blank line included; 0 if there is no blank line."""
    crlf = data.find(b"\n\r\n")
    lf = data.find(b"\n\n", 0, crlf if crlf >= 0 else len(data))
    if lf >= 0:
        return lf + 2
    return crlf + 3 if crlf >= 0 else 0


def _parse_arc(window: Window, offset: int, data: bytes) -> Head | None:
    end = data.find(b"\n")
    if end < 0:
        data = window.take(offset, PROBED_HEAD_BYTES)
        end = data.find(b"\n")
    line = data[: max(end, 0)].decode("utf-8", "replace").rstrip("\r")
    for after_url in (4, 9):  # version 1: ip date type length; version 2 has five more
        parts = line.rsplit(" ", after_url)
        if len(parts) <= after_url:
            continue
        url, date, content_type, length = parts[0], parts[2], parts[3], parts[-1]
        if date.isascii() and date.isdigit() and length.isascii() and length.isdigit():
            return Head(
                size=end + 1,
                length=int(length[:16]),
                kind="warcinfo" if url.lower().startswith("filedesc:") else "response",
                url=_mend_url(url),
                date=_iso_date(_ARC_DATE, date),
                content_type=content_type,
                digest="",
            )
    return None


def _mend_url(url: str) -> str:
    """Strip the angle brackets that old wget wrote; percent-encode spaces, drop tabs."""
    url = url.strip()
    if url.startswith("<") and url.endswith(">"):
        url = url[1:-1].strip()
    return url if " " not in url and "\t" not in url else url.replace(" ", "%20").replace("\t", "")


def _iso_date(form: re.Pattern[str], text: str) -> str:
    """Return a date in ISO 8601; empty if the text has another form."""
    found = form.match(text)
    return "{}-{}-{}T{}:{}:{}Z".format(*found.groups()) if found else ""


# Gzip members. Archives are written with one record a member, so a member is the unit that damage
# spoils, that a range request fetches, and at which a file may be divided.


def begins_member(window: Window, offset: int) -> bool:
    """Tell whether a member begins at `offset` and a record at the start of its content."""
    if not GZIP_START.match(window.take(offset, 3)):
        return False
    try:
        text = Inflate("gzip").feed(window.take(offset, PEEK), 256).lstrip(PADDING)
    except CorruptError:
        return False
    return bool(WARC_START.match(text) or ARC_START.match(text))


def inflate(window: Window, offset: int, max_bytes: int) -> Member:
    """Decompress the member at `offset`, up to a little over `max_bytes` of content."""
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


# Decompression with isal, for members and for bodies of responses.


class CorruptError(Exception):
    """The compressed bytes are damaged or have another format."""


class Inflate:
    """Decompresses one stream piece by piece, with a bound on what comes out."""

    def __init__(self, form: Form) -> None:
        self._stream = isal_zlib.decompressobj(_WBITS[form])

    def feed(self, data: bytes | memoryview, limit: int = 0) -> bytes:
        """Decompress a piece to at most `limit` bytes (0: no limit). Raises CorruptError."""
        try:
            return self._stream.decompress(data, limit)
        except _ERROR as error:
            raise CorruptError(str(error)) from None

    @property
    def finished(self) -> bool:
        """Whether the stream has ended and its checksum was right."""
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        """The bytes fed that lie after the end of the stream."""
        return self._stream.unused_data
