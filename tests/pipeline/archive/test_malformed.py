"""Every broken or odd archive of the real test data does what its manifest says."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from benben.pipeline.archive.charset import decode_html
from benben.pipeline.archive.warc import Capture, Loss, read_captures
from tests.shared import DATA, needs_shared

pytestmark = needs_shared

MALFORMED = DATA / "malformed"
# pages, losses: what the manifest's "expect" asks for, "ideally" taken at its word
GENERATED = {
    "truncated-member.warc.gz": (4, 1),
    "garbage-between.warc.gz": (4, 1),
    "corrupt-crc-member.warc.gz": (2, 1),
    "bitflip-member.warc.gz": (2, 1),
    "single-gzip-stream.warc.gz": (5, 0),
    "plain-named-gz.warc.gz": (5, 0),
    "plain.warc": (5, 0),
    "empty.warc.gz": (0, 0),
    "empty-member.warc.gz": (1, 0),
    "not-a-warc.warc.gz": (0, 1),
    "random.warc.gz": (0, 1),
    "leading-newlines.warc": (2, 0),
    "lf-only.warc": (0, 1),
    "trailing-zeros.warc.gz": (1, 0),
    "wrong-content-length.warc.gz": (4, 0),
    "encodings.warc.gz": (18, 0),  # all but the bomb
    "charsets.warc.gz": (32, 0),
    "payloads.warc.gz": (24, 0),
    "http-headers.warc.gz": (16, 0),  # all but status 999 and a status that is a word
    "target-uris.warc.gz": (
        14,
        0,
    ),  # all but six that are no web address: one is too long to be kept
    "warc-headers.warc.gz": (14, 0),  # one is a resource
    "wcl-too-small.warc.gz": (2, 1),
    "wcl-too-big.warc.gz": (2, 1),
    "wcl-nan.warc.gz": (2, 1),
    "warc-version-9.9.warc.gz": (2, 1),
    "warc-no-type.warc.gz": (2, 0),
}
# pages of the real archives, and what could not be read of them
REAL = {
    "aut-example.pdf.warc.gz": (1, 0),
    "aut-badexample.arc.gz": (0, 1),  # a line without a date, then lengths beyond the file
    "warcio-example-resource.warc.gz": (1, 0),
    "warcio-example-bad.warc.gz.bad": (1, 0),
    "warcio-example-bad-non-chunked.warc.gz": (1, 0),
    "warcio-bad.arc": (0, 2),
    "warcio-example-trunc.warc": (1, 0),
    "warcio-example-wrong-chunks.warc.gz": (1, 0),
    "warcio-example-wget-bad-target-uri.warc.gz": (1, 0),
    "warcio-example-space-in-url.arc": (1, 0),
    "warcio-example.arc": (1, 0),
    "warcio-example.arc.gz": (1, 0),
    "warcio-example.warc": (1, 0),
    "warcio-example-iana.org-chunked.warc": (1, 0),
    "resiliparse-clipped.warc.gz": (0, 1),
    "ipwb-broken.warc": (1, 1),
    "ipwb-baconIpsum_chunked.warc": (1, 0),
    "ipwb-baconIpsum_chunked_httpTrailors.warc": (1, 0),
    "ipwb-mkelly1.warc": (1, 0),
    "jwat-invalid-encoding-headers.warc.gz": (2, 0),
    "jwat-test-arc-1.0-invalid-fields.arc": (0, 1),
    "ukwa-IAH-20080430204825-00000-blackbook-truncated.warc.gz": (2, 0),
    "ukwa-IAH-20080430204825-00000-blackbook-truncated.arc.gz": (2, 0),
    "ukwa-transfer_compression_brotli.warc": (1, 0),
    "ukwa-transfer_compression_gzip.warc": (1, 0),
    "ukwa-truncated_datetime.warc": (1, 0),
    "solrwayback-transfer_gzip_chunked.warc.gz": (1, 0),
    "ccweb-multiple-headers.warc": (1, 0),
    "ccweb-html-lang-attribute.warc": (5, 0),
    "ccweb-link-extraction-test.warc": (9, 0),
    "warc2zim-example-revisit.warc.gz": (3, 0),
    "warc2zim-example-utf8.warc": (0, 0),
    "warc2zim-bad-redirections.warc.gz": (1, 0),
    "pywb-example-url-agnostic-orig.warc.gz": (1, 0),
    "pywb-example-wget-1-14.warc.gz": (1, 0),
}  # those not named hold no page, and nothing of them is lost
SPOILT_SENTINEL = ("random.warc.gz", "not-a-warc.warc.gz")
CASES = (
    [json.loads(line) for line in (MALFORMED / "MANIFEST.jsonl").read_text().splitlines()]
    if DATA.is_dir()
    else []
)


def read(path: Path) -> tuple[list[Capture], list[Loss]]:
    found = list(read_captures(str(path)))
    captures = [item for item in found if isinstance(item, Capture)]
    return captures, [item for item in found if isinstance(item, Loss)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_each_case_does_what_its_manifest_says(case: dict[str, str]) -> None:
    name = Path(case["file"]).name
    captures, losses = read(MALFORMED / case["file"])
    pages = [capture for capture in captures if capture.reason is None]
    expected = GENERATED[name] if case["kind"] == "generated" else REAL.get(name, (0, 0))
    assert (len(pages), len(losses)) == expected
    if "sentinel" in case.get("expect", ""):
        assert pages[-1].url == f"http://sentinel.example.test/{name}"
        assert b"Sentinel" in pages[-1].payload


def test_all_encodings_are_undone_and_the_bomb_is_bounded() -> None:
    captures, _ = read(MALFORMED / "gen/encodings.warc.gz")
    *pages, bomb, _sentinel = captures
    assert bomb.reason == "payload.too-large"
    for page in pages:
        name = page.url.rsplit("/", 1)[-1]
        assert f"<title>Enc {name}</title>".encode() in page.payload


def test_all_charsets_are_decoded() -> None:
    captures, _ = read(MALFORMED / "gen/charsets.warc.gz")
    pages = {capture.url: capture for capture in captures}
    lines = (MALFORMED / "gen/charsets-expected.jsonl").read_text().splitlines()
    wrong = []
    for case in map(json.loads, lines):
        page = pages[case["url"]]
        text, _label = decode_html(page.payload, page.headers.get("content-type"))
        if case["contains"] not in text:
            wrong.append(case["url"])
    assert wrong == []
    assert len(lines) == 31


def test_header_oddities_leave_the_page() -> None:
    captures, _ = read(MALFORMED / "gen/http-headers.warc.gz")
    pages = [capture for capture in captures if capture.reason is None]
    assert all(re.search(rb"<title>(Hdr|Sentinel)", page.payload) for page in pages)
    by_name = {capture.url.rsplit("/", 1)[-1]: capture for capture in captures}
    assert by_name["obs-fold"].headers["content-type"] == "text/html; charset=utf-8"
    assert by_name["x-robots-noai"].headers["X-Robots-Tag"]
    assert by_name["status-word"].reason == by_name["status-999"].reason == "http-status"


def test_payload_extremes_have_reasons() -> None:
    captures, _ = read(MALFORMED / "gen/payloads.warc.gz")
    assert Counter(capture.reason for capture in captures) == {
        None: 24,
        "not-html": 5,
        "http-status": 3,
        "not-http": 2,
        "payload.empty": 2,
    }


def test_records_of_every_kind_are_named_for_what_they_are() -> None:
    captures, _ = read(MALFORMED / "gen/warc-headers.warc.gz")
    kinds = {capture.url.rsplit("/", 1)[-1]: capture.reason for capture in captures}
    assert (kinds["revisit"], kinds["conversion"]) == ("revisit", "conversion")
    assert (kinds["resource"], kinds["segment"]) == (None, "segmented")
    assert kinds["unknown-type"] == "record-type"
    assert "request" not in kinds
