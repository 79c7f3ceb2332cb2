"""The HTTP body of a capture: transfer and content encodings, lies about them, limits."""

from __future__ import annotations

import zlib

import brotli
import zstandard
from isal import isal_zlib

GZIP = b"\x1f\x8b"


class PayloadError(Exception):
    """A body that can't be had; `reason` is what the ledger says."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode_body(body: bytes, transfer: str, content: str, max_bytes: int) -> bytes:
    """Undo transfer and content encodings, whether declared rightly or not.

    Raises PayloadError.
    """
    if "chunked" in transfer.lower():
        body = dechunk(body)
    for coding in reversed([name.strip().lower() for name in content.split(",")]):
        body = _decompress(body, coding, max_bytes)
    if body[:2] == GZIP:
        body = _decompress(body, "gzip", max_bytes)
    if len(body) > max_bytes:
        raise PayloadError("payload.too-large")
    return body


def dechunk(body: bytes) -> bytes:
    """Join the chunks of RFC 9112 7.1; a body that is not chunked is returned as it is."""
    parts: list[bytes] = []
    position = 0
    while True:
        line_end = body.find(b"\n", position, position + 1024)
        size_text = body[position:line_end].split(b";")[0].strip() if line_end >= 0 else b""
        try:
            size = int(size_text, 16)
        except ValueError:
            return b"".join(parts) if parts else body
        if size <= 0:
            return b"".join(parts)
        parts.append(body[line_end + 1 : line_end + 1 + size])
        position = line_end + 1 + size
        position += 2 if body[position : position + 2] == b"\r\n" else 1


def _decompress(body: bytes, coding: str, max_bytes: int) -> bytes:
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, zlib.MAX_WBITS | 16, max_bytes) if body[:2] == GZIP else body
    if coding == "deflate":
        for wbits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
            try:
                return _inflate(body, wbits, max_bytes)
            except PayloadError as error:
                if error.reason == "payload.too-large":
                    raise
        return body
    if coding == "br":
        try:
            return bytes(brotli.decompress(body))
        except brotli.error:
            return body
    if coding == "zstd":
        return zstandard.ZstdDecompressor().decompress(body, max_output_size=max_bytes)
    return body


def _inflate(body: bytes, wbits: int, max_bytes: int) -> bytes:
    stream = isal_zlib.decompressobj(wbits)
    try:
        data: bytes = stream.decompress(body, max_bytes + 1)
    except isal_zlib.error:
        raise PayloadError("payload.encoding") from None
    if len(data) > max_bytes:
        raise PayloadError("payload.too-large")
    return data
