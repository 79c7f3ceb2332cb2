"""A crawl of any size without a disk for it: real pages under addresses of their own, over HTTP.

    python -m benchmarks.archive_server ARCHIVES PAGES [BYTES]

Prints its port and serves /part-00000.warc.gz and so on, by ranges, until stopped. Archives are put
together when they are asked for. A record's body is compressed once: its WARC head, which holds the
address, is a deflate block of its own before it. BYTES: of the longest records that are taken.
"""

from __future__ import annotations

import gzip
import itertools
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.support.data import archives

MEMBER_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # RFC 1952: deflate, no time, system unknown
KEPT = 6  # archives held in memory
TARGET = b"WARC-Target-URI: "
_PATH = re.compile(r"/part-(\d{5})\.warc\.gz")
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Record:
    """A response record: its head as far as the address, the rest of the head, its body."""

    before: bytes
    after: bytes
    body: bytes
    deflated: bytes

    def member(self, number: int) -> bytes:
        """The record as a gzip member, its address under a host of the archive's own."""
        head = b"%s://n%d.%s" % (self.before, number, self.after)
        crc = zlib.crc32(self.body, zlib.crc32(head))
        size = (len(head) + len(self.body)) & 0xFFFFFFFF
        tail = struct.pack("<II", crc, size)
        return b"".join((MEMBER_HEAD, _deflate(head, zlib.Z_FULL_FLUSH), self.deflated, tail))


class Crawl:
    """Archives of so many pages each; the real pages come round again and again."""

    def __init__(self, archives: int, pages: int, longest: int = sys.maxsize) -> None:
        self.archives, self.pages = archives, pages
        self.records = [record for record in read_records() if len(record.body) <= longest]
        self.archive = lru_cache(KEPT)(self._archive)
        self.size = lru_cache(None)(lambda number: len(self._archive(number)))

    def _archive(self, number: int) -> bytes:
        start = number * self.pages % len(self.records)
        chosen = itertools.islice(itertools.cycle(self.records), start, start + self.pages)
        return b"".join(record.member(number) for record in chosen)


def read_records() -> Iterator[Record]:
    """Real response records, the target's address first among their headers."""
    for path in archives():
        with gzip.open(path) as stream:
            data = stream.read()
        for text in data.split(b"WARC/1.0\r\n")[1:]:
            head, gap, body = text.partition(b"\r\n\r\n")
            if b"WARC-Type: response" in head:
                lines = sorted(head.split(b"\r\n"), key=lambda line: not line.startswith(TARGET))
                before, _, after = b"\r\n".join([b"WARC/1.0", *lines]).partition(b"://")
                yield Record(before, after + gap, body, _deflate(body, zlib.Z_FINISH))


def _deflate(data: bytes, end: int) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush(end)


class Handler(BaseHTTPRequestHandler):
    """Answers range requests."""

    protocol_version = "HTTP/1.1"
    crawl: Crawl

    def do_GET(self) -> None:
        """Send a range of an archive."""
        found = _PATH.fullmatch(self.path)
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        if not found or not wanted or int(found[1]) >= self.crawl.archives:
            self.send_error(404)
            return
        number, first, last = int(found[1]), int(wanted[1]), int(wanted[2])
        size = self.crawl.size(number)
        last = min(last, size - 1)
        data = b"\x1f" if last == 0 else self.crawl.archive(number)[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("ETag", f'"{number}"')
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing of single requests."""


def main() -> None:
    """Serve until stopped."""
    Handler.crawl = Crawl(*map(int, sys.argv[1:4]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
