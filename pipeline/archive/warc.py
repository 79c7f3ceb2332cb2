"""The captures of an archive in order: each record's HTTP response, decoded, or why it has none."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benben.pipeline.archive.http_response import (
    Headers,
    Message,
    PayloadError,
    decode_body,
    is_html,
    may_be_html,
    media_type,
    parse_response,
)
from benben.pipeline.archive.records import Head, Loss, Record, read_records
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.storage.ranges import DEFAULT, Bytes, Source, Window, open_source

__all__ = [
    "NO_PAGES",
    "Capture",
    "Loss",
    "payload_digest",
    "read_capture_at",
    "read_captures",
    "read_captures_of",
]

MAX_BYTES = 32 << 20
HTTP_HEAD = 512 << 10  # bytes, longest head of a response
SHORT_HEAD = 8 << 10  # bytes, enough for nearly every head
NO_PAGES = frozenset(("warcinfo", "request", "metadata"))  # records about others
_DIGEST = re.compile(r"sha1:[A-Z2-7]{32}")


@dataclass(slots=True)
class Capture:
    """One fetched page: where it lies, what was requested, what was returned."""

    warc: str  # file name without folders
    offset: int
    length: int  # compressed bytes of the record
    url: str
    captured_at: str  # ISO 8601 UTC; empty if the archive gives no date
    status: int | None
    headers: Mapping[str, str]  # names in any case
    mime: str | None
    payload: bytes  # HTTP body without transfer and content encodings; empty if there is a reason
    payload_digest: str  # "sha1:BASE32" of the body as archived
    reason: str | None  # why there is no HTML; None when there is
    truncated: str | None = None  # why the record was cut, as WARC-Truncated says, or "archive"


def read_captures(
    url: str,
    start: int = 0,
    end: int | None = None,
    max_bytes: int = MAX_BYTES,
    access: ArchiveSettings = DEFAULT,
    passed: Counter[str] | None = None,
) -> Iterator[Capture | Loss]:
    """Yield the captures whose first byte lies in [start, end), and the stretches lost.

    Every record is one, except those about others (warcinfo, request, metadata), which `passed`
    counts by kind. Every byte position belongs to one stretch, so an archive divided between tasks
    gives each capture once. A body over `max_bytes` becomes a reason. Raises OSError if the archive
    cannot be opened or read.
    """
    source = open_source(url, access)
    stop = source.size if end is None else end
    yield from read_captures_of(source, start, stop, max_bytes, passed)


def read_capture_at(
    url: str,
    offset: int,
    length: int,
    max_bytes: int = MAX_BYTES,
    access: ArchiveSettings = DEFAULT,
) -> Capture:
    """Read the one capture at a byte range. Raises OSError, and ValueError if there is none."""
    data = open_source(url, access).read_at(offset, length)
    for found in read_captures_of(Bytes(data, url, offset), offset, offset + length, max_bytes):
        if isinstance(found, Capture):
            return found
        raise ValueError(f"{url} at {offset}: {found.reason}")
    raise ValueError(f"{url} at {offset}: no capture in these {length} bytes")


def read_captures_of(
    source: Source, start: int, end: int, max_bytes: int, passed: Counter[str] | None = None
) -> Iterator[Capture | Loss]:
    """Yield the captures and losses of a stretch of an open archive; see `read_captures`."""
    name = source.name.rsplit("/", 1)[-1]
    for record in read_records(Window(source), start, end):
        if isinstance(record, Loss):
            yield record
        elif record.head.kind not in NO_PAGES:
            yield _capture(record, name, max_bytes)
        elif passed is not None:
            passed[record.head.kind] += 1


def _capture(record: Record, warc: str, max_bytes: int) -> Capture:
    head = record.head
    fits = head.length <= max_bytes + HTTP_HEAD
    message = read_message(record)
    body_at = min(message.body_at, head.length)
    mime, _ = media_type(message.headers.get("content-type"))
    reason, payload = _refusal(head, message, mime), b""
    if reason is None and not fits:
        reason = "payload.too-large"
    if reason is None:
        try:
            body = record.window.take(record.at + body_at, head.length - body_at)
            payload = decode_body(body, message.headers, max_bytes)
        except PayloadError as error:
            reason = error.reason
        else:
            if not is_html(mime, payload):
                reason, payload = "not-html", b""
    return Capture(
        warc=warc,
        offset=record.offset,
        length=record.length,
        url=head.url,
        captured_at=head.date,
        status=message.status,
        headers=message.headers,
        mime=mime,
        payload=payload,
        payload_digest=_digest(record, body_at),
        reason=reason,
        truncated=head.truncated or ("archive" if record.cut else None),
    )


def read_message(record: Record) -> Message:
    """Return the head of a record's response; a resource is a body without one."""
    head = record.head
    if head.kind == "resource" and not head.content_type.startswith("application/http"):
        return Message(200, Headers({"content-type": [head.content_type]}), 0)
    message = parse_response(record.window.take(record.at, min(head.length, SHORT_HEAD)))
    if not message.whole:
        message = parse_response(record.window.take(record.at, min(head.length, HTTP_HEAD)))
    return message


def _refusal(head: Head, message: Message, mime: str | None) -> str | None:
    """Return why the body need not be decoded; None if it may be a page."""
    if head.kind in ("revisit", "conversion"):  # a conversion is no page: the text of one, in WET
        return head.kind
    if head.segmented or head.kind == "continuation":
        return "segmented"
    if head.kind not in ("response", "resource"):
        return "record-type"
    if not head.url.lower().startswith(("http://", "https://")):
        return "url"
    if message.status is None and message.body_at == 0:
        return "not-http"
    if message.status != 200:
        return "http-status"
    return None if may_be_html(mime) else "not-html"


def payload_digest(record: Record) -> str:
    """Return "sha1:BASE32" of a record's body as archived: its own, or computed."""
    return _digest(record, min(read_message(record).body_at, record.head.length))


def _digest(record: Record, body_at: int) -> str:
    """Return the record's own payload digest, or compute it from the body as archived."""
    if _DIGEST.fullmatch(record.head.digest):
        return record.head.digest
    digest = hashlib.sha1(usedforsecurity=False)
    position, end = record.at + body_at, record.at + record.head.length
    while position < end and (data := record.window.at(position)[: end - position]):
        digest.update(data)
        position += len(data)
    return f"sha1:{base64.b32encode(digest.digest()).decode()}"
