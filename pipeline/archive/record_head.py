"""The head of an archive's record: WARC 0.x and 1.x named fields, or an ARC line.

WARC: ISO 28500. ARC: https://archive.org/web/researcher/ArcFileFormat.php, versions 1 and 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO

from fastwarc.warc import HeaderMap

from benben.pipeline.archive.source import Window

HEAD_BYTES = 1 << 20  # longest head
PROBED_HEAD_BYTES = 16 << 10  # longest head of a record that is looked for after damage
LINE_BYTES = 8 << 10  # longest line of a head; FastWARC refuses heads of more than 32 KiB
SHORT = 2048  # bytes that hold nearly every head

WARC_START = re.compile(rb"WARC/[01]\.\d{1,3}[ \t]{0,8}\r?\n[\w-]{1,30}[ \t]{0,2}:")
ARC_START = re.compile(rb"(?:https?://|ftp://|dns:|filedesc://)", re.IGNORECASE)

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


def parse_head(window: Window, offset: int, longest: int = HEAD_BYTES) -> Head | None:
    """Parse the head at `offset`; None when no record begins there."""
    data = window.take(offset, SHORT)
    if data.startswith(b"WARC/"):
        return _parse_warc(window, offset, data, longest)
    return _parse_arc(window, offset, data) if ARC_START.match(data) else None


def _parse_warc(window: Window, offset: int, data: bytes, longest: int) -> Head | None:
    if not WARC_START.match(data):  # as damage is read over: a split finds the same records
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
    )


def head_size(data: bytes) -> int:
    """Bytes up to and with the blank line that ends a head; 0 when there is none."""
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
    """Strip the angle brackets old wget wrote and percent-encode white space."""
    url = url.strip()
    if url.startswith("<") and url.endswith(">"):
        url = url[1:-1].strip()
    return url if " " not in url and "\t" not in url else url.replace(" ", "%20").replace("\t", "")


def _iso_date(form: re.Pattern[str], text: str) -> str:
    found = form.match(text)
    return "{}-{}-{}T{}:{}:{}Z".format(*found.groups()) if found else ""
