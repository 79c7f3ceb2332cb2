from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benben.pipeline.archive.http_response import (
    is_html,
    media_type,
    parse_headers,
    parse_response,
)


def test_status_headers_and_body() -> None:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-A:  b \r\nx-a: c\r\n\r\n<p>"
    message = parse_response(block)
    assert message.status == 200
    assert dict(message.headers) == {"content-type": "text/html", "x-a": "b, c"}
    assert message.headers["X-A"] == message.headers.get("x-a") == "b, c"
    assert block[message.body_at :] == b"<p>"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("HTTP/1.0 404 Not Found", 404),
        ("HTTP/2 200", 200),
        ("ICY 200 OK", 200),
        ("http/1.1 301", 301),
        ("HTTP/1.1 OK", None),
        ("HTTP/1.1 2000", None),
    ],
)
def test_status_lines(line: str, status: int | None) -> None:
    message = parse_response(f"{line}\nA: b\n\nx".encode())
    assert (message.status, message.headers["a"]) == (status, "b")


def test_header_oddities() -> None:
    head = b"HTTP/1.1 200\r\nNoColon\r\nA: one\r\n\ttwo\r\n:x\r\nB:\r\nC: caf\xe9\r\n\r\n"
    headers = parse_response(head).headers
    assert headers["a"] == "one two"
    assert headers["b"] == ""
    assert "nocolon" not in headers
    assert headers["c"] == "café"


def test_no_http_at_all() -> None:
    message = parse_response(b"<!doctype html>\n\n<p>")
    assert (message.status, len(message.headers), message.body_at) == (None, 0, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, (None, None)),
        ("", (None, None)),
        ("Text/HTML; Charset=UTF-8", ("text/html", "UTF-8")),
        ('text/html; charset="utf-8"', ("text/html", "utf-8")),
        ("text/html;;; =;charset", ("text/html", None)),
        ("text/html, text/html; charset=utf-8", ("text/html", "utf-8")),
        ("text/html; charset=utf-8, text/html", ("text/html", "utf-8")),
        ("text/html; charset=utf-8, application/pdf, text/html", ("text/html", None)),
        ("html", (None, None)),
    ],
)
def test_media_types(value: str | None, expected: tuple[str | None, str | None]) -> None:
    assert media_type(value) == expected


@pytest.mark.parametrize(
    ("essence", "body", "expected"),
    [
        ("text/html", b"anything", True),
        ("text/html", b"%PDF-1.4", False),
        ("text/html", b"\x89PNG\r\n", False),
        ("application/xhtml+xml", b"<html/>", True),
        (None, b"  <!DOCTYPE html>", True),
        (None, b"\xef\xbb\xbf<html>", True),
        (None, b"<body class=x>", True),
        (None, b"hello <p>", False),
        ("text/plain", b"<html>", False),
        ("application/json", b"{}", False),
        ("text/xml", b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'>", True),
        ("text/xml", b"<?xml version='1.0'?><rss>", False),
    ],
)
def test_what_counts_as_html(essence: str | None, body: bytes, expected: bool) -> None:
    assert is_html(essence, body) is expected


@given(st.binary(max_size=500))
def test_random_bytes_never_fail(data: bytes) -> None:
    for block in (data, b"HTTP/1.1 200 OK\r\n" + data):
        message = parse_response(block)
        assert 0 <= message.body_at <= len(block)
        media_type(message.headers.get("content-type"))


def test_long_rows_of_blanks_in_a_head_are_read_once() -> None:
    blanks = b" \t" * 2_000_000
    head = (
        b"HTTP/1.1 200 OK\r\nno-colon" + blanks + b"\r\nA" + blanks + b":" + blanks + b"b" + blanks
    )
    assert dict(parse_headers(head)) == {"a": "b"}
