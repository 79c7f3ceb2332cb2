"""Captures of an archive, in order, whatever state the archive is in."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from pipeline.http_message import Message, parse_response
from pipeline.members import Loss, Member, read_members
from pipeline.payload import PayloadError, decode_body
from pipeline.source import Bytes, Source, Window, open_source

__all__ = ["Capture", "Loss", "read_capture_at", "read_captures"]

MAX_BYTES = 32 << 20
_DIGEST = re.compile(r"sha1:[A-Z2-7]{32}")
_HTML = ("text/html", "application/xhtml+xml")


@dataclass(slots=True)
class Capture:
    """One fetched page: where it lies, what was asked, what came."""

    warc: str  # file name without folders
    offset: int
    length: int  # compressed bytes of the record
    url: str
    captured_at: str  # ISO 8601 UTC
    status: int | None
    headers: Mapping[str, str]
    mime: str | None
    payload: bytes  # HTTP body without transfer and content encodings
    payload_digest: str  # "sha1:BASE32" of the body as archived
    reason: str | None  # why there is no HTML; None when there is


def read_captures(
    url: str, start: int = 0, end: int | None = None, max_bytes: int = MAX_BYTES
) -> Iterator[Capture | Loss]:
    """Yield the captures whose first byte lies in [start, end), and the stretches lost.

    Raises OSError when the archive can't be opened or read.
    """
    source = open_source(url)
    yield from _read(source, start, source.size if end is None else end, max_bytes)


def read_capture_at(url: str, offset: int, length: int, max_bytes: int = MAX_BYTES) -> Capture:
    """Read the one capture at a byte range. Raises OSError, ValueError when there is none."""
    data = open_source(url).read_at(offset, length)
    for found in _read(Bytes(data, url, offset), offset, offset + length, max_bytes):
        if isinstance(found, Capture):
            return found
        raise ValueError(f"{url} at {offset}: {found.reason}")
    raise ValueError(f"{url} at {offset}: no capture in these {length} bytes")


def _read(source: Source, start: int, end: int, max_bytes: int) -> Iterator[Capture | Loss]:
    window = Window(source)
    name = source.name.rsplit("/", 1)[-1]
    for member in read_members(window, start, end):
        if isinstance(member, Loss):
            yield member
        else:
            yield from _parse(member, name, max_bytes)


def _parse(member: Member, name: str, max_bytes: int) -> Iterator[Capture | Loss]:
    records = ArchiveIterator(
        BytesIO(member.data), parse_http=False, quirks_mode=True, stream_detect=False
    )
    try:
        for record in records:
            if record.record_type in (WarcRecordType.response, WarcRecordType.revisit):
                yield _capture(record, member, name, max_bytes)
    except OSError as error:
        yield Loss(member.offset, member.length, f"warc: {error}")


def _capture(record: Any, member: Member, name: str, max_bytes: int) -> Capture:
    block = record.reader.read()
    message = parse_response(block)
    headers = record.headers
    digest = headers.get("WARC-Payload-Digest") or ""
    if not _DIGEST.fullmatch(digest):
        digest = "sha1:" + base64.b32encode(hashlib.sha1(message.body).digest()).decode()
    reason, payload = _payload(record, message, max_bytes)
    return Capture(
        warc=name,
        offset=member.offset,
        length=member.length,
        url=(headers.get("WARC-Target-URI") or "").strip().strip("<>").strip(),
        captured_at=headers.get("WARC-Date") or "",
        status=message.status,
        headers=message.headers,
        mime=message.mime,
        payload=payload,
        payload_digest=digest,
        reason=reason,
    )


def _payload(record: Any, message: Message, max_bytes: int) -> tuple[str | None, bytes]:
    if record.record_type == WarcRecordType.revisit:
        return "revisit", b""
    if message.status != 200:
        return "http-status", b""
    if message.mime not in _HTML:
        return "not-html", b""
    try:
        return None, decode_body(
            message.body,
            message.headers.get("transfer-encoding", ""),
            message.headers.get("content-encoding", ""),
            max_bytes,
        )
    except PayloadError as error:
        return error.reason, b""
