"""The HTTP response inside a record: status, headers, and the body without its encodings.

Headers of crawled responses are often wrong about the body, so its first bytes are asked too.
Codings: RFC 9112 7.1 (chunked), RFC 9110 8.4.1 (gzip, deflate), RFC 7932 (br), RFC 8878 (zstd).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import brotli
import zstandard

from benben.pipeline.archive.records import CorruptError, Form, Inflate, head_size

HTML = ("text/html", "application/xhtml+xml")
_XML = ("application/xml", "text/xml")
_STATUS = re.compile(rb"(?:HTTP(?:/[\d.]+)?|ICY)[ \t]+(\d{3})(?!\d)", re.IGNORECASE)
# Blanks around a name and a value are stripped afterwards: a pattern for them would begin anew at
# each blank of a long row.
_FIELD = re.compile(r"\n([^:\s][^:\n]*+):([^\r\n]*+)")
_FOLD = re.compile(r"\r?\n[ \t]+")  # obsolete line folding, RFC 9112 5.2
_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?\s*([^\"'\s;,]+)", re.IGNORECASE)

# WHATWG MIME Sniffing 7.1: a body without a declared type that begins like this is HTML.
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?[\t\n\x0c\r ]*<(?:!--|(?:!doctype\s+html|html|head|script|iframe|h1|div|"
    rb"font|table|a|style|title|b|body|br|p)[\s>])",
    re.IGNORECASE,
)
_XHTML = re.compile(rb"<html\b[^>]*\bxmlns\s*=|<!doctype\s+html", re.IGNORECASE)

# Signatures of files that servers wrongly send as HTML.
_BINARY = (b"%PDF-", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"PK\x03\x04", b"RIFF", b"\x7fELF")

# Encodings of the body.
GZIP = b"\x1f\x8b\x08"
MOST_CODINGS = 4
_PIECE = 32 << 10
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_ZSTD_WINDOW = 8 << 20  # RFC 8878 3.1.1.1.2: what a decoder on the web has to support


class Headers(Mapping[str, str]):
    """HTTP headers by name, in any case; repeated ones are joined by commas (RFC 9110 5.3)."""

    __slots__ = ("_lines",)

    def __init__(self, lines: dict[str, list[str]]) -> None:
        self._lines = lines

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._lines[name.lower()])

    def getall(self, name: str, default: list[str]) -> list[str]:
        """The lines of one header, for headers whose lines do not read as one list."""
        return self._lines.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


@dataclass(slots=True)
class Message:
    """The head of a response; the body begins at `body_at`."""

    status: int | None
    headers: Headers
    body_at: int
    whole: bool = True  # the blank line after the head was found


class PayloadError(Exception):
    """A body that cannot be decoded; `reason` goes into the ledger."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# Status, headers and type.


def parse_response(block: bytes) -> Message:
    """Parse the head of the response at the start of a block; never fails."""
    status = _STATUS.match(block)
    if status is None and block[:5].upper() != b"HTTP/":
        return Message(None, Headers({}), 0)
    size = head_size(block)
    number = int(status[1]) if status else None
    return Message(number, parse_headers(block[:size] or block), size or len(block), size > 0)


def parse_headers(head: bytes) -> Headers:
    """Parse the header lines after a status line; lines without a name are ignored."""
    try:
        text = head.decode()
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    text = _FOLD.sub(" ", text) if "\n " in text or "\n\t" in text else text
    lines: dict[str, list[str]] = {}
    for name, value in _FIELD.findall(text):
        lines.setdefault(name.rstrip(" \t").lower(), []).append(value.lstrip(" \t").rstrip())
    return Headers(lines)


@lru_cache(maxsize=4096)
def media_type(content_type: str | None) -> tuple[str | None, str | None]:
    """Return the media type and the charset label of a Content-Type value.

    Of several values the last valid one counts (Fetch Standard, "extract a MIME type").
    """
    essence = charset = None
    for value in (content_type or "")[:1024].split(","):
        found = _TYPE.match(value.strip())
        if found is None:
            continue
        label = _CHARSET.search(value)
        if found[0].lower() != essence or label:
            charset = label[1] if label else None
        essence = found[0].lower()
    return essence, charset


def is_html(essence: str | None, payload: bytes) -> bool:
    """Tell whether a body is an HTML or XHTML page, from its declared type and first bytes."""
    if payload.startswith(_BINARY):
        return False
    if essence in HTML:
        return True
    if essence in _XML:
        return _XHTML.search(payload, 0, 1024) is not None
    return essence is None and _HTML_START.match(payload) is not None


def may_be_html(essence: str | None) -> bool:
    """Tell whether a body of this declared type can be a page."""
    return essence is None or essence in HTML or essence in _XML


# The body.


def decode_body(body: bytes, headers: Mapping[str, str], max_bytes: int) -> bytes:
    """Undo transfer and content encodings, declared or not. Raises PayloadError.

    If headers and body disagree, the body decides. Of a truncated or damaged body, what could be
    decoded is kept.
    """
    codings = _codings(headers.get("content-encoding"))
    transfer = _codings(headers.get("transfer-encoding"))
    if "chunked" in transfer or _CHUNK_SIZE.match(body):
        body = dechunk(body, declared="chunked" in transfer)
    for coding in [name for name in transfer if name != "chunked"][::-1] + codings[::-1]:
        body = _decompress(body, coding, max_bytes)
    for _ in range(MOST_CODINGS):  # compressed without saying so, or more often than it says
        if not body.startswith(GZIP):
            break
        body = _inflate(body, "gzip", max_bytes)
    if len(body) > max_bytes:
        raise PayloadError("payload.too-large")
    if not body:
        raise PayloadError("payload.empty")
    return body


def _codings(value: str | None) -> list[str]:
    names = [name.strip().lower().removeprefix("x-") for name in (value or "").split(",")]
    if len(names) > MOST_CODINGS:
        raise PayloadError("payload.encoding")
    return [name for name in names if name]


def dechunk(body: bytes, declared: bool = True) -> bytes:
    """Join the chunks of a body; return a body that is not chunked as it is.

    Of a truncated body, the chunks that are there are returned if it was `declared` as chunked.
    """
    parts: list[bytes] = []
    position = 0
    while found := _CHUNK_SIZE.match(body, position):
        size = int(found[1], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[found.end() : found.end() + size])
        position = found.end() + size
        position += 2 if body.startswith(b"\r\n", position) else body.startswith(b"\n", position)
    return b"".join(parts) if parts and declared else body


def _decompress(body: bytes, coding: str, max_bytes: int) -> bytes:
    if coding == "gzip":
        return _inflate(body, "gzip", max_bytes) if body.startswith(GZIP) else _plain(body)
    if coding == "deflate":
        return _undeflate(body, max_bytes)
    if coding == "br":
        return _unbrotli(body, max_bytes)
    if coding == "zstd":
        return _unzstd(body, max_bytes)
    return body


def _undeflate(body: bytes, max_bytes: int) -> bytes:
    zlib_head = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    try:  # servers send raw deflate as often as zlib, which the standard requires
        return _inflate(body, "zlib" if zlib_head else "raw", max_bytes)
    except PayloadError as error:
        if error.reason == "payload.too-large":
            raise
        return _plain(body)


def _inflate(body: bytes, form: Form, max_bytes: int) -> bytes:
    stream = Inflate(form)
    parts: list[bytes] = []
    held = 0
    view = memoryview(body)
    for start in range(0, len(body), _PIECE):
        try:
            parts.append(stream.feed(view[start : start + _PIECE], max_bytes + 1 - held))
        except CorruptError:
            break
        held += len(parts[-1])
        if held > max_bytes:
            raise PayloadError("payload.too-large")
        if stream.finished:
            break
    if not held and not stream.finished:
        raise PayloadError("payload.encoding")
    return b"".join(parts)


def _unbrotli(body: bytes, max_bytes: int) -> bytes:
    stream = brotli.Decompressor()
    parts: list[bytes] = []
    held, data = 0, body
    try:
        while not stream.is_finished():
            parts.append(stream.process(data, output_buffer_limit=_PIECE * 8))
            data = b""
            held += len(parts[-1])
            if held > max_bytes:
                raise PayloadError("payload.too-large")
            if not parts[-1] and stream.can_accept_more_data():
                break  # truncated
    except brotli.error:
        return _plain(body)
    return b"".join(parts) or _plain(body)


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(
        body, read_across_frames=True
    )
    parts: list[bytes] = []
    held = 0
    try:
        while part := reader.read(_PIECE * 8):
            parts.append(part)
            held += len(part)
            if held > max_bytes:
                raise PayloadError("payload.too-large")
    except zstandard.ZstdError:
        if not parts:
            return _plain(body)
    return b"".join(parts)


def _plain(body: bytes) -> bytes:
    """Return a body that is declared compressed but is text. Raises PayloadError if it is not."""
    if _is_text(body):
        return body
    raise PayloadError("payload.encoding")


def _is_text(body: bytes) -> bool:
    head = body[:512]
    return bool(head) and ((b"\0" not in head and b"<" in body[:4096]) or head.isascii())
