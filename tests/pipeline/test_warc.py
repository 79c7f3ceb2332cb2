from __future__ import annotations

import gzip
from pathlib import Path

from pipeline.charset import decode_html
from pipeline.warc import Capture, Loss, read_capture_at, read_captures


def record(url: str, body: bytes, kind: str = "response") -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Date: 2024-05-18T00:00:00Z\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def pages(number: int) -> list[bytes]:
    return [
        record(f"http://site.example/{n}", f"<p>page {n}</p>".encode() * 50) for n in range(number)
    ]


def test_captures_come_in_order_with_their_place(tmp_path: Path) -> None:
    members = [gzip.compress(page) for page in pages(3)]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(members))
    found = list(read_captures(str(path)))
    assert [capture.url for capture in found if isinstance(capture, Capture)] == [
        f"http://site.example/{n}" for n in range(3)
    ]
    second = found[1]
    assert isinstance(second, Capture)
    assert (second.offset, second.length) == (len(members[0]), len(members[1]))
    assert read_capture_at(str(path), second.offset, second.length) == second
    text, label = decode_html(second.payload, second.headers.get("content-type"))
    assert text.startswith("<p>page 1</p>")
    assert label == "utf-8"


def test_a_spoilt_member_costs_one_record(tmp_path: Path) -> None:
    members = [bytearray(gzip.compress(page)) for page in pages(3)]
    members[1][40] ^= 0xFF
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(members))
    found = list(read_captures(str(path)))
    assert [type(item) for item in found] == [Capture, Loss, Capture]
    loss = found[1]
    assert (loss.offset, loss.length) == (len(members[0]), len(members[1]))
