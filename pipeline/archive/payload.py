"""The HTTP body of a capture without its transfer and content encodings, lies about them undone.

Codings: RFC 9112 7.1 (chunked), RFC 9110 8.4.1 (gzip, deflate), RFC 7932 (br), RFC 8878 (zstd).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import brotli
import zstandard

from benben.pipeline.archive.inflate import CorruptError, Form, Inflate

GZIP = b"\x1f\x8b\x08"
MOST_CODINGS = 4
_PIECE = 32 << 10
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_ZSTD_WINDOW = 8 << 20  # RFC 8878 3.1.1.1.2: what a decoder on the web has to support


class PayloadError(Exception):
    """A body that can't be had; `reason` is what the ledger says."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode_body(body: bytes, headers: Mapping[str, str], max_bytes: int) -> bytes:
    """Undo transfer and content encodings, declared or not. Raises PayloadError.

    A body that is not what its headers declare is taken for what it is; of one that breaks off
    or is damaged, what could be decoded is kept.
    """
    codings = _codings(headers.get("content-encoding"))
    transfer = _codings(headers.get("transfer-encoding"))
    if "chunked" in transfer or _CHUNK_SIZE.match(body):
        body = dechunk(body, declared="chunked" in transfer)
    for coding in [name for name in transfer if name != "chunked"][::-1] + codings[::-1]:
        body = _decompress(body, coding, max_bytes)
    for _ in range(MOST_CODINGS):  # compressed though nobody says so, or once more than said
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
    """Join the chunks of a body; one that is not chunked is returned as it is.

    A body that breaks off gives the chunks that are there, if it was `declared` to be chunked.
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
    try:  # servers send raw deflate as often as the zlib form the standard asks for
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
                break  # it breaks off here
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
    """A body declared to be compressed that is not. Raises PayloadError if it is no text."""
    if _is_text(body):
        return body
    raise PayloadError("payload.encoding")


def _is_text(body: bytes) -> bool:
    head = body[:512]
    return bool(head) and ((b"\0" not in head and b"<" in body[:4096]) or head.isascii())
