from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benben.pipeline.archive.charset import decode_html
from benben.pipeline.archive.warc import (
    Capture,
    Loss,
    read_capture_at,
    read_captures,
    read_captures_of,
)
from benben.pipeline.storage.ranges import Bytes
from tests.pipeline.archive.archive_makers import (
    arc_record,
    members,
    page_url,
    pages,
    warc_record,
)
from tests.shared import DATA, needs_shared


def put(folder: Path, *records: bytes) -> str:
    path = folder / "a.warc.gz"
    path.write_bytes(b"".join(members(records)))
    return str(path)


def capture(folder: Path, record: bytes, max_bytes: int = 1 << 20) -> Capture:
    (found,) = read_captures(put(folder, record), max_bytes=max_bytes)
    assert isinstance(found, Capture)
    return found


def test_captures_come_in_order_with_their_place(tmp_path: Path) -> None:
    records = pages(3)
    path = put(tmp_path, *records)
    found = list(read_captures(path))
    assert [item.url for item in found if isinstance(item, Capture)] == [
        page_url(number) for number in range(3)
    ]
    second = found[1]
    assert isinstance(second, Capture)
    sizes = [len(member) for member in members(records)]
    assert (second.warc, second.offset, second.length) == ("a.warc.gz", sizes[0], sizes[1])
    assert read_capture_at(path, second.offset, second.length) == second
    assert (second.status, second.mime, second.reason) == (200, "text/html", None)
    assert second.captured_at == "2024-05-18T00:00:00Z"
    text, label = decode_html(second.payload, second.headers.get("Content-Type"))
    assert text.startswith("<p>1 0</p>")
    assert label == "windows-1252"


def test_a_spoilt_member_costs_one_record(tmp_path: Path) -> None:
    parts = [bytearray(member) for member in members(pages(3))]
    parts[1][40] ^= 0xFF
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(parts))
    found = list(read_captures(str(path)))
    assert [type(item) for item in found] == [Capture, Loss, Capture]
    assert (found[1].offset, found[1].length) == (len(parts[0]), len(parts[1]))
    with pytest.raises(ValueError, match=r"gzip\.corrupt"):
        read_capture_at(str(path), len(parts[0]), len(parts[1]))


def test_the_archives_own_digest_is_taken_if_it_is_one(tmp_path: Path) -> None:
    body = b"<p>x</p>"
    own = "sha1:" + base64.b32encode(hashlib.sha1(body).digest()).decode()
    given = "sha1:" + "A" * 32
    record = warc_record("http://a.example/", body)
    assert capture(tmp_path, record).payload_digest == own
    for digest, expected in ((given, given), ("sha1:x", own), ("md5:" + "A" * 32, own)):
        field = f"WARC-Payload-Digest: {digest}\r\nContent-Length".encode()
        stated = record.replace(b"Content-Length", field, 1)
        assert capture(tmp_path, stated).payload_digest == expected


def test_the_digest_is_that_of_the_body_as_archived(tmp_path: Path) -> None:
    body = gzip.compress(b"<p>x</p>" * 10)
    found = capture(
        tmp_path, warc_record("http://a.example/", body, headers="Content-Encoding: gzip\r\n")
    )
    assert found.payload == b"<p>x</p>" * 10
    digest = base64.b32encode(hashlib.sha1(body).digest()).decode()
    assert found.payload_digest == f"sha1:{digest}"


def test_too_large_bodies_are_a_reason(tmp_path: Path) -> None:
    for size in (2_000, 2 << 20):  # the second is not even read whole
        record = warc_record("http://a.example/", b"<p>" + bytes(size))
        found = capture(tmp_path, record, max_bytes=1_000)
        assert (found.reason, found.payload) == ("payload.too-large", b"")
        assert found.payload_digest == capture(tmp_path, record, 4 << 20).payload_digest


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"200 OK", b"404 No", "http-status"),
        (b"text/html\r\n\r\n", b"image/gif\r\n\r\n", "not-html"),
        (b"HTTP/1.1", b"gopher!!", "not-http"),
        (b"http://a.example/", b"dns:a.example.com", "url"),
        (b"WARC-Type: response", b"WARC-Type: revisit ", "revisit"),
        (b"WARC-Date", b"WARC-Segment-Number: 1\r\nWARC-Date", "segmented"),
        (b"<p>A page.</p>", b"%PDF-1.4 page.", "not-html"),
    ],
)
def test_what_is_no_page_says_why(tmp_path: Path, old: bytes, new: bytes, reason: str) -> None:
    record = warc_record("http://a.example/").replace(old, new)
    found = capture(tmp_path, record)
    assert (found.reason, found.payload) == (reason, b"")


def test_every_record_is_a_capture_or_is_counted(tmp_path: Path) -> None:
    reasons = {"resource": None, "conversion": "conversion", "continuation": "segmented",
               "revisit": "revisit", "x": "record-type", "": "record-type"}  # fmt: skip
    others = ("request", "metadata", "warcinfo")
    kinds = (*reasons, *others, "request")
    path = put(tmp_path, *(warc_record("http://a.example/", kind=kind) for kind in kinds))
    passed: Counter[str] = Counter()
    found = list(read_captures(path, passed=passed))
    assert [one.reason for one in found] == list(reasons.values())
    assert passed == {"request": 2, "metadata": 1, "warcinfo": 1}


def resource(body: bytes, content_type: str, url: str = "https://a.example/") -> bytes:
    """A resource record: a body without the head of a response."""
    fields = (
        f"WARC/1.1\r\nWARC-Type: resource\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Date: 2024-05-18T00:00:00Z\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return fields.encode() + body + b"\r\n\r\n"


def test_a_resource_record_is_a_page_without_headers_of_a_response(tmp_path: Path) -> None:
    body = b"<!doctype html><p>A page.</p>"
    found = capture(tmp_path, resource(body, "text/html; charset=utf-8"))
    assert (found.reason, found.payload, found.status) == (None, body, 200)
    assert (found.mime, dict(found.headers)) == (
        "text/html",
        {"content-type": "text/html; charset=utf-8"},
    )
    assert capture(tmp_path, resource(body, "")).payload == body
    assert capture(tmp_path, resource(b"\x89PNG", "image/png")).reason == "not-html"
    assert capture(tmp_path, resource(body, "text/html", "urn:page")).reason == "url"


@pytest.mark.parametrize(
    ("field", "fact"), [("length", "length"), (" Time ", "time"), ("a\tb<c>", "abc"), ("", None)]
)
def test_a_truncated_record_says_so(tmp_path: Path, field: str, fact: str | None) -> None:
    line = f"WARC-Truncated: {field}\r\nWARC-Date".encode()
    record = warc_record("http://a.example/").replace(b"WARC-Date", line)
    assert capture(tmp_path, record).truncated == fact


def test_a_record_in_which_the_archive_ends_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    cut = warc_record("http://b.example/", b"<p>" + b"A page. " * 90)[:-200]
    path.write_bytes(warc_record("http://a.example/") + cut)
    _, found = read_captures(str(path))
    assert isinstance(found, Capture)
    assert (found.reason, found.truncated) == (None, "archive")


def test_records_about_others_are_no_captures(tmp_path: Path) -> None:
    path = put(
        tmp_path, *(warc_record("http://a.example/", kind=kind) for kind in ("request",) * 3)
    )
    with pytest.raises(ValueError, match="no capture in these"):
        read_capture_at(path, 0, Path(path).stat().st_size)


def test_urls_are_mended(tmp_path: Path) -> None:
    for stated, url in (
        ("<http://a.example/x>", "http://a.example/x"),
        ("http://a.example/a b", "http://a.example/a%20b"),
        ("http://a.example/ü", "http://a.example/ü"),
    ):
        assert capture(tmp_path, warc_record(stated)).url == url


def test_arc_records_are_captures_too(tmp_path: Path) -> None:
    found = capture(tmp_path, arc_record("http://a.example/"))
    assert (found.url, found.captured_at) == ("http://a.example/", "2008-04-30T20:48:25Z")
    assert found.payload == b"<p>A page.</p>"


ENCODING = st.sampled_from(["", "gzip", "br", "deflate", "zstd", "x", "gzip, br"])


@given(
    st.binary(max_size=400),
    ENCODING,
    st.sampled_from(["", "chunked", "gzip, chunked"]),
    st.sampled_from(["\x1f\x8b\x08", "5\r\n", "<p>", "\xff\xfe", "<meta charset=x>", ""]),
)
def test_random_bodies_give_a_page_or_a_reason(
    body: bytes, content: str, transfer: str, start: str
) -> None:
    headers = f"Content-Encoding: {content}\r\nTransfer-Encoding: {transfer}\r\n"
    record = warc_record("http://a.example/", start.encode("latin-1") + body, headers=headers)
    (found,) = read_captures_of(Bytes(record), 0, len(record), 1000)
    assert isinstance(found, Capture)
    assert bool(found.payload) == (found.reason is None)
    decode_html(found.payload, found.headers.get("content-type"))


@given(st.integers(0, 500), st.binary(min_size=1, max_size=20))
def test_random_heads_never_fail(position: int, noise: bytes) -> None:
    record = warc_record("http://a.example/", b"<p>x</p>" * 30)
    spoilt = record[:position] + noise + record[position + len(noise) :]
    for found in read_captures_of(Bytes(spoilt), 0, len(spoilt), 1000):
        if isinstance(found, Capture):
            decode_html(found.payload, found.headers.get("content-type"))


@needs_shared
@pytest.mark.slow
def test_every_page_of_the_test_crawl_can_be_read_by_its_place() -> None:
    folder = DATA / "warc"
    rows = list(map(json.loads, (folder / "index.jsonl").read_text().splitlines()))
    places = {(row["warc"], row["offset"]): row["url"] for row in rows}
    read = 0
    for path in sorted(folder.glob("TEST-*.warc.gz")):
        for found in read_captures(str(path)):
            assert isinstance(found, Capture)
            assert read_capture_at(str(path), found.offset, found.length) == found
            url = places.get((found.warc, found.offset))
            assert url is None or url.replace(" ", "%20") == found.url
            read += url is not None
    assert read == len(rows)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\x5d\x2a\x4d\x18\x04\0\0\0", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b"\x7fELF", "unknown-format"),
    ],
)
def test_a_file_of_another_form_is_named(tmp_path: Path, start: bytes, reason: str) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(start + bytes(range(256)) * 4)
    (found,) = read_captures(str(path))
    assert isinstance(found, Loss)
    assert (found.offset, found.length, found.reason) == (0, len(start) + 1024, reason)
