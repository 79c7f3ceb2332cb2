"""A crawl's archive of robots.txt files, and what its answers say of some pages."""

from __future__ import annotations

import gzip


def record(url: str, body: bytes, head: bytes = b"HTTP/1.1 200 OK\r\n", day: int = 1) -> bytes:
    """One response record, a gzip member of its own."""
    block = head + b"\r\n" + body
    text = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Date: 2026-10-0{day}T00:00:00Z\r\nContent-Type: application/http; msgtype=response"
        f"\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return gzip.compress(text.encode() + block + b"\r\n\r\n")


def moved(to: str) -> bytes:
    """The head of a redirect."""
    return f"HTTP/1.1 301 Moved\r\nLocation: {to}\r\n".encode()


DENY = b"User-agent: CCBot\nDisallow: /private\n"
PACKED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
ARCHIVE = b"".join(
    [
        record("https://a.test/robots.txt", b"User-agent: *\nAllow: /\n"),
        record("https://a.test/robots.txt", DENY, day=2),
        record("https://b.test/robots.txt", b"", b"HTTP/1.1 404 Gone\r\n"),
        record("https://c.test/robots.txt", gzip.compress(DENY), PACKED),
        record("https://c.test/page", b"<p>x"),
        record("https://d.test/robots.txt", gzip.compress(DENY)[:-9], PACKED),
        record("https://e.test/rules", DENY),
        record("http://e.test/robots.txt", b"", moved("https://e.test/robots.txt")),
        record("https://e.test/robots.txt", b"", moved("/rules")),
        record("https://f.test/robots.txt", b"", moved("https://f.test/robots.txt")),
        record("https://g.test/robots.txt", b"", moved("https://absent.test/robots.txt")),
        record("https://h.test/robots.txt", DENY, b"HTTP/1.1 203 OK\r\n"),
        record("https://i.test/robots.txt", b"", b"HTTP/1.1 503 Busy\r\n", day=3),
        record("https://i.test/robots.txt", b"User-agent: *\nAllow: /\n"),
        record("https://j.test/robots.txt", b"", b"HTTP/1.1 503 Busy\r\n"),
    ]
)
REASONS = {
    "https://a.test/private/1": "consent.robots",
    "https://A.test:443/private/1": "consent.robots",
    "https://a.test/open": None,
    "https://b.test/private/1": None,
    "https://c.test/private/1": "consent.robots",
    "https://d.test/open": "consent.unreadable",
    "https://e.test/private/1": "consent.robots",
    "http://e.test/private/1": "consent.robots",
    "http://e.test/open": None,
    "https://f.test/open": "consent.robots_unreachable",
    "https://g.test/open": "consent.robots_unreachable",
    "https://h.test/private/1": "consent.robots",
    "https://i.test/private/1": None,
    "https://j.test/open": "consent.robots_unreachable",
    "https://unknown.test/": None,
}
