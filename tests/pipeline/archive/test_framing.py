"""Whatever happens to an archive, the records that are whole come out, each once."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benben.pipeline.archive import records as gzip_members
from benben.pipeline.archive.records import Loss, Record, read_records
from benben.pipeline.storage.ranges import Bytes, Window
from tests.pipeline.archive.archive_makers import (
    arc_record,
    members,
    page_url,
    pages,
    warc_record,
)

NUMBER = 5
PLAIN = b"".join(pages(NUMBER))
COMPRESSED = b"".join(members(pages(NUMBER)))
STORED = b"".join(gzip.compress(page, 0, mtime=0) for page in pages(NUMBER))
WHOLE = gzip.compress(PLAIN, mtime=0)
ARC = b"".join(arc_record(page_url(n), b"<p>%d</p>" % n * 9) for n in range(NUMBER))
FORMS = {"plain": PLAIN, "compressed": COMPRESSED, "stored": STORED, "whole": WHOLE, "arc": ARC}
URLS = [page_url(n) for n in range(NUMBER)]


def read(data: bytes, start: int = 0, end: int | None = None) -> list[Record | Loss]:
    return list(read_records(Window(Bytes(data)), start, len(data) if end is None else end))


def urls(found: list[Record | Loss]) -> list[str]:
    return [item.head.url for item in found if isinstance(item, Record)]


def losses(found: list[Record | Loss]) -> list[Loss]:
    return [item for item in found if isinstance(item, Loss)]


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_every_form_gives_its_records(data: bytes) -> None:
    found = read(data)
    assert urls(found) == URLS
    assert not losses(found)
    blocks = [item.window.take(item.at, item.head.length) for item in found]  # type: ignore[union-attr]
    assert all(block.startswith(b"HTTP/1.") and block.endswith(b"</p>") for block in blocks)


@pytest.mark.parametrize("form", ["plain", "compressed", "stored", "arc"])
def test_lengths_lay_the_records_end_to_end(form: str) -> None:
    found = read(FORMS[form])
    ends = [item.offset + item.length for item in found]
    assert [0, *ends] == [*(item.offset for item in found), len(FORMS[form])]


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
@given(cuts=st.lists(st.floats(0, 1), max_size=6))
def test_each_record_lies_in_one_stretch(data: bytes, cuts: list[float]) -> None:
    bounds = sorted([0, len(data), *(int(cut * len(data)) for cut in cuts)])
    found = [item for pair in itertools.pairwise(bounds) for item in read(data, *pair)]
    assert urls(found) == URLS
    assert not losses(found)


def test_each_record_lies_in_one_stretch_wherever_it_is_cut() -> None:
    for data in (PLAIN, COMPRESSED, ARC):
        for cut in range(len(data)):
            assert urls(read(data, 0, cut)) + urls(read(data, cut)) == URLS


@st.composite
def spoilt(draw: st.DrawFn, records: list[bytes]) -> tuple[int, bytes]:
    """One of the records with some of its bytes changed, and the archive it is then in."""
    which = draw(st.integers(0, len(records) - 1))
    record = bytearray(records[which])
    for _ in range(draw(st.integers(1, 8))):
        record[draw(st.integers(0, len(record) - 1))] ^= draw(st.integers(1, 255))
    return which, b"".join([*records[:which], bytes(record), *records[which + 1 :]])


@settings(max_examples=300)
@given(spoilt(members(pages(NUMBER))), st.floats(0, 1))
def test_flipped_bytes_cost_one_gzip_record(case: tuple[int, bytes], cut: float) -> None:
    which, data = case
    whole = read(data)
    assert urls(whole) in (URLS, URLS[:which] + URLS[which + 1 :])
    if len(urls(whole)) < NUMBER:
        assert len(losses(whole)) == 1
    middle = int(cut * len(data))
    parts = read(data, 0, middle) + read(data, middle)
    assert urls(parts) == urls(whole)
    assert losses(parts) == losses(whole)


def test_a_spoilt_field_name_is_a_loss_wherever_the_archive_is_cut() -> None:
    records = pages(NUMBER)
    data = b"".join([*records[:-1], records[-1].replace(b"WARC-Type", b"WARC,Type")])
    assert urls(read(data)) == URLS[:-1]
    for cut in range(len(data) - len(records[-1]), len(data)):
        assert urls(read(data, 0, cut)) + urls(read(data, cut)) == URLS[:-1]


@settings(max_examples=300)
@given(spoilt(pages(NUMBER)), st.floats(0, 1))
def test_flipped_bytes_cost_one_plain_record(case: tuple[int, bytes], cut: float) -> None:
    which, data = case
    whole = read(data)
    left = URLS[:which] + URLS[which + 1 :]
    found = urls(whole)
    # The record is lost, or there under an address that may be that of another.
    assert left in (found, found[:which] + found[which + 1 :])
    middle = int(cut * len(data))
    parts = read(data, 0, middle) + read(data, middle)
    assert urls(parts) == urls(whole)
    assert losses(parts) == losses(whole)


@settings(max_examples=200)
@given(st.integers(0, NUMBER), st.binary(min_size=1, max_size=300))
def test_garbage_between_members_costs_none(place: int, garbage: bytes) -> None:
    parts = members(pages(NUMBER))
    data = b"".join([*parts[:place], garbage, *parts[place:]])
    found = read(data)
    assert urls(found) == URLS
    if garbage.strip(b"\0\r\n"):
        assert sum(loss.length for loss in losses(found)) <= len(garbage)
        assert losses(found)


@given(st.binary(max_size=2000), st.sampled_from([b"", b"\x1f\x8b\x08\0", b"WARC/1.0\r\n"]))
def test_random_bytes_do_no_harm(data: bytes, start: bytes) -> None:
    assert urls(read(start + data)) == []


@given(st.integers(0, len(COMPRESSED)))
def test_a_clipped_archive_gives_what_came_before(size: int) -> None:
    found = read(COMPRESSED[:size])
    assert urls(found) == URLS[: len(urls(found))]
    whole = sum(len(part) for part in members(pages(NUMBER))[: len(urls(found))])
    assert [loss.length for loss in losses(found)] == ([size - whole] if size > whole else [])


def test_a_plain_archive_that_breaks_off_keeps_its_last_record() -> None:
    found = read(PLAIN[:-300])
    assert urls(found) == URLS
    assert isinstance(found[-1], Record)
    assert found[-1].cut


def test_records_cut_into_several_members_are_joined() -> None:
    cut = PLAIN.index(b"WARC/1.0", 10) + 400
    data = gzip.compress(PLAIN[:cut]) + gzip.compress(PLAIN[cut:])
    assert urls(read(data)) == URLS
    assert urls(read(data, 0, 10)) == URLS


def test_lengths_that_lie_cost_their_record() -> None:
    lies: list[Callable[[bytes], bytes]] = [
        lambda page: page.replace(b"Content-Length: ", b"Content-Length: 1"),
        lambda page: page.replace(b"Content-Length: 7", b"Content-Length: 1"),
        lambda page: page.replace(b"Content-Length: ", b"Content-Length: x"),
        lambda page: page.replace(b"WARC/1.0", b"WARC/9.9"),
    ]
    for lie in lies:
        records = pages(3)
        records[1] = lie(records[1])
        assert records[1] != pages(3)[1]
        for data in (b"".join(records), b"".join(members(records))):
            found = read(data)
            assert urls(found) == [URLS[0], URLS[2]]
            assert len(losses(found)) == 1


def test_padding_and_empty_members_are_no_loss() -> None:
    parts = members(pages(NUMBER))
    empty = gzip.compress(b"")
    for data in (
        b"".join(parts) + bytes(5000),
        empty + b"".join(part + empty for part in parts),
        b"\r\n\r\n" + PLAIN,
        PLAIN + bytes(100),
    ):
        found = read(data)
        assert urls(found) == URLS
        assert not losses(found)


def test_a_long_member_goes_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_members, "IN_MEMORY", 1000)
    monkeypatch.setattr(gzip_members, "PIECE", 100)
    assert urls(read(WHOLE)) == URLS


def test_a_broken_whole_file_member_gives_the_records_before_the_break() -> None:
    data = gzip.compress(b"".join(pages(300)), mtime=0)
    found = read(data[: len(data) // 2])
    assert 50 < len(urls(found)) < 250
    assert urls(found) == [page_url(n) for n in range(len(urls(found)))]
    assert [loss.reason for loss in losses(found)] == ["gzip.truncated"]


def test_a_bomb_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benben.pipeline.archive.records.MEMBER", 1 << 20)
    bomb = gzip.compress(warc_record("http://bomb.example/", bytes(50 << 20)), mtime=0)
    found = read(b"".join([*members(pages(2)), bomb, *members(pages(2))]))
    assert urls(found) == URLS[:2] * 2
    assert [loss.reason for loss in losses(found)] == ["gzip.too-large"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html>" * 50, "unknown-format"),
        (gzip.compress(b"<html>", mtime=0), "record.no-head"),
        (members(pages(1))[0][:-9], "gzip.truncated"),
        (members(pages(1))[0][:60] + b"\xff" * 90, "gzip.corrupt"),
    ],
)
def test_something_else_is_one_loss(data: bytes, reason: str) -> None:
    found = losses(read(data))
    assert [(loss.offset, loss.length, loss.reason) for loss in found] == [(0, len(data), reason)]


def test_nothing_is_no_loss() -> None:
    assert read(b"") == read(bytes(9)) == read(gzip.compress(b"")) == []
