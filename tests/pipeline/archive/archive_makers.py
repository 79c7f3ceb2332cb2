"""Small archives, made record by record."""

from __future__ import annotations

import gzip
from collections.abc import Sequence


def warc_record(
    url: str, body: bytes = b"<p>A page.</p>", kind: str = "response", headers: str = ""
) -> bytes:
    """A WARC record around an HTTP response; `headers` are more HTTP header lines."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{headers}\r\n"
    block = head.encode("latin-1") + body
    fields = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n"
        "WARC-Date: 2024-05-18T00:00:00Z\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return fields.encode() + block + b"\r\n\r\n"


def arc_record(url: str, body: bytes = b"<p>A page.</p>") -> bytes:
    """An ARC version 1 record."""
    block = b"HTTP/1.0 200 OK\nContent-Type: text/html\n\n" + body
    return f"{url} 192.0.2.1 20080430204825 text/html {len(block)}\n".encode() + block + b"\n"


def page_url(number: int) -> str:
    """The URL of a made page."""
    return f"http://site.example/{number}"


def pages(number: int, size: int = 600) -> list[bytes]:
    """WARC records of pages that compress badly enough to be worth cutting."""
    return [
        warc_record(
            page_url(n), "".join(f"<p>{n} {n * i * i}</p>" for i in range(size // 10)).encode()
        )
        for n in range(number)
    ]


def members(records: Sequence[bytes]) -> list[bytes]:
    """One gzip member a record."""
    return [gzip.compress(record, mtime=0) for record in records]
