"""FastWARC, warcio and we read the same records, save for what is listed and explained here.

All three blocks pass through our decoder, so that only what the readers make of the archive
is compared; the decoder has its own tests.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from warcio.archiveiterator import ArchiveIterator as WarcioIterator
from warcio.exceptions import ArchiveLoadFailed

from benben.pipeline.archive.http_response import (
    PayloadError,
    decode_body,
    parse_response,
)
from benben.pipeline.archive.records import Record, read_records
from benben.pipeline.storage.ranges import StoredFile, Window
from tests.shared import DATA, needs_shared

Pairs = list[tuple[str, str]]  # target URI, sha1 of the decoded body or why there is none

NO_ARC = "FastWARC reads no ARC"
BAD_ARC = "FastWARC reads no ARC; warcio guesses where lines are no ARC records, we count a loss"
STOPS = "the peers stop at the first damage; we go on behind it"
WHOLE = "warcio refuses a whole archive in one gzip member"
CUT = "the peers pass on a record that breaks off; we count it as lost"
LISTED = {  # name: why, and the responses that we, FastWARC and warcio find
    "warc/real/aut-example-blackbook.arc.gz": (NO_ARC, 299, 0, 299),
    "malformed/real/ukwa-IAH-20080430204825-00000-blackbook-truncated.arc.gz": (NO_ARC, 8, 0, 8),
    "malformed/real/warcio-example-space-in-url.arc": (NO_ARC, 1, 0, 1),
    "malformed/real/warcio-example.arc": (NO_ARC, 1, 0, 1),
    "malformed/real/warcio-example.arc.gz": (NO_ARC, 1, 0, 1),
    "malformed/real/jwat-test-arc-1.0-invalid-fields.arc": (BAD_ARC, 0, 0, 1),
    "malformed/real/warcio-bad.arc": (BAD_ARC, 1, 0, 3),
    "malformed/real/aut-badexample.arc.gz": (f"{NO_ARC}; {WHOLE}", 2, 0, 0),
    "malformed/real/warcio-example-bad-non-chunked.warc.gz": (WHOLE, 1, 1, 0),
    "malformed/real/warcio-example-bad.warc.gz.bad": (WHOLE, 2, 2, 0),
    "malformed/gen/single-gzip-stream.warc.gz": (WHOLE, 5, 5, 1),
    "malformed/real/resiliparse-clipped.warc.gz": (CUT, 0, 1, 1),
    "malformed/gen/truncated-member.warc.gz": (CUT, 4, 5, 5),
    "malformed/real/ipwb-broken.warc": ("a lying length: the peers give a cut image", 1, 2, 2),
    "malformed/gen/wcl-nan.warc.gz": ("no length: the peers give an empty record, stop", 2, 2, 2),
    "malformed/gen/wcl-too-big.warc.gz": ("a lying length: FastWARC swallows a page", 2, 2, 3),
    "malformed/gen/wcl-too-small.warc.gz": ("a lying length: the peers give a stump", 2, 2, 3),
    "malformed/real/warcio-example-wrong-chunks.warc.gz": (
        "a record cut into two members: warcio finds an empty body",
        *(1, 1, 1),
    ),
    "malformed/gen/bitflip-member.warc.gz": (STOPS, 2, 1, 1),
    "malformed/gen/corrupt-crc-member.warc.gz": (STOPS, 2, 1, 1),
    "malformed/gen/garbage-between.warc.gz": (STOPS, 4, 2, 2),
    "malformed/gen/warc-version-9.9.warc.gz": (STOPS, 2, 1, 1),
    "malformed/gen/empty-member.warc.gz": ("FastWARC stops at an empty member", 1, 0, 1),
    "malformed/gen/leading-newlines.warc": ("warcio stops at leading newlines", 2, 2, 0),
    "malformed/gen/lf-only.warc": ("wrong lengths: warcio gives a page with its end cut", 0, 0, 1),
    "malformed/gen/target-uris.warc.gz": (
        "FastWARC stops at a long head; we leave its longest line, the URI, out",
        *(20, 10, 20),
    ),
    "malformed/gen/warc-headers.warc.gz": (
        "FastWARC heeds the case of header names and stops at a long head",
        *(13, 10, 13),
    ),
}


def archives() -> list[str]:
    patterns = ("warc/*arc.gz", "warc/real/*", "malformed/real/*arc*", "malformed/gen/*arc*")
    return [str(path.relative_to(DATA)) for part in patterns for path in sorted(DATA.glob(part))]


def decoded(block: bytes) -> str:
    message = parse_response(block)
    try:
        body = decode_body(block[message.body_at :], message.headers, 20 << 20)
    except PayloadError as error:
        return error.reason
    return hashlib.sha1(body).hexdigest()


def ours(path: Path) -> Pairs:
    records = read_records(Window(StoredFile(str(path))), 0, 1 << 40)
    return [
        (record.head.url, decoded(record.window.take(record.at, record.head.length)))
        for record in records
        if isinstance(record, Record) and record.head.kind == "response"
    ]


def fastwarc(path: Path) -> Pairs:
    found: Pairs = []
    try:
        for record in ArchiveIterator(
            str(path), record_types=WarcRecordType.response, parse_http=False
        ):
            url = record.headers.get("WARC-Target-URI") or ""
            found.append((mended(url), decoded(record.reader.read())))
    except OSError:
        pass
    return found


def warcio(path: Path) -> Pairs:
    found: Pairs = []
    try:
        with path.open("rb") as file:
            for record in WarcioIterator(file, no_record_parse=True):
                if record.rec_type == "response":
                    headers = record.rec_headers
                    url = headers.get_header("WARC-Target-URI") or headers.get_header("uri") or ""
                    found.append((mended(url), decoded(record.raw_stream.read())))
    except ArchiveLoadFailed:
        pass
    return found


def mended(url: str) -> str:
    url = url.strip()
    url = url[1:-1] if url.startswith("<") and url.endswith(">") else url
    return url.replace(" ", "%20").replace("\t", "")


@needs_shared
@pytest.mark.parametrize("name", archives())
def test_we_read_what_the_peers_read(name: str) -> None:
    path = DATA / name
    mine, fast, slow = ours(path), fastwarc(path), warcio(path)
    if name in LISTED:
        assert (len(mine), len(fast), len(slow)) == LISTED[name][1:]
        assert not mine == fast == slow, "no longer different: take it off the list"
    else:
        assert mine == fast == slow
