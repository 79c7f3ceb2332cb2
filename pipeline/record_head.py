"""The head of an archive's record: WARC 0.x and 1.x named fields, or an ARC line.

WARC: ISO 28500. ARC: https://archive.org/web/researcher/ArcFileFormat.php, versions 1 and 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO

from fastwarc.warc import HeaderMap

from pipeline.source import Window

HEAD_BYTES = 32 << 10  # longest head; FastWARC's own bound
SHORT = 2048  # bytes that hold nearly every head

WARC_START = re.compile(rb"WARC/[01]\.\d")
ARC_START = re.compile(rb"(?:https?://|ftp://|dns:|filedesc://)", re.IGNORECASE)

_WARC_VERSION = re.compile(rb"WARC/[01]\.\d+[ \t]*\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|\+00:?00)?")
_ARC_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\d*")


@dataclass(slots=True)
class Head:
    """What a record says of itself."""

    size: int  # bytes of the head with its blank line
    length: int  # bytes of the block
    kind: str  # WARC-Type in lower case
    url: str
    date: str  # ISO 8601 UTC to the second; empty when the record's is no date
    content_type: str  # of the record, such as "application/http; msgtype=response"
    digest: str  # WARC-Payload-Digest; may be empty or nonsense
    segmented: bool = False  # a part of a record that goes on elsewhere


def parse_head(window: Window, offset: int) -> Head | None:
    """Parse the head at `offset`; None when no record begins there."""
    data = window.take(offset, SHORT)
    if data.startswith(b"WARC/"):
        return _parse_warc(window, offset, data)
    return _parse_arc(window, offset, data) if ARC_START.match(data) else None


def _parse_warc(window: Window, offset: int, data: bytes) -> Head | None:
    if not _WARC_VERSION.match(data):
        return None
    end = _HEAD_END.search(data)
    if end is None:
        data = window.take(offset, HEAD_BYTES)
        end = _HEAD_END.search(data)
        if end is None:
            return None
    head = data[: end.end()]
    if end[0] != b"\r\n\r\n":
        head = head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    fields = HeaderMap()
    try:
        fields.parse(BytesIO(head))
    except OSError:
        return None
    length = _field(fields, "Content-Length")
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        return None
    return Head(
        size=end.end(),
        length=int(length),
        kind=_field(fields, "WARC-Type").lower(),
        url=_mend_url(_field(fields, "WARC-Target-URI")),
        date=_iso_date(_DATE, _field(fields, "WARC-Date")),
        content_type=_field(fields, "Content-Type"),
        digest=_field(fields, "WARC-Payload-Digest"),
        segmented="WARC-Segment-Number" in fields,
    )


def _field(fields: HeaderMap, name: str) -> str:
    return (fields.get(name) or "").strip()


def _parse_arc(window: Window, offset: int, data: bytes) -> Head | None:
    end = data.find(b"\n")
    if end < 0:
        data = window.take(offset, HEAD_BYTES)
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
                kind="response" if url[:4].lower() == "http" else "other",
                url=_mend_url(url),
                date=_iso_date(_ARC_DATE, date),
                content_type=content_type,
                digest="",
            )
    return None


def _mend_url(url: str) -> str:
    """Strip the angle brackets old wget wrote and percent-encode white space."""
    url = url.strip()
    if url.startswith("<") and url.endswith(">"):
        url = url[1:-1].strip()
    return url if " " not in url and "\t" not in url else url.replace(" ", "%20").replace("\t", "")


def _iso_date(form: re.Pattern[str], text: str) -> str:
    found = form.match(text)
    return "{}-{}-{}T{}:{}:{}Z".format(*found.groups()) if found else ""
