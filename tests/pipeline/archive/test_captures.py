from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benben.pipeline.archive.captures import Range, coalesce, read_ranges
from benben.pipeline.archive.warc import Capture, Loss, read_captures
from benben.pipeline.settings.archives import ArchiveSettings
from tests.pipeline.archive.archive_makers import members, pages, warc_record

PLACES = st.tuples(st.sampled_from("ab"), st.integers(0, 2000), st.integers(1, 50))


@given(st.lists(PLACES, max_size=40), st.integers(0, 100), st.integers(1, 300))
def test_ranges_cover_every_place_once(
    places: list[tuple[str, int, int]], gap: int, most: int
) -> None:
    ranges = list(coalesce(places, gap, most))
    assert sorted((r.archive, *record) for r in ranges for record in r.records) == sorted(
        set(places)
    )
    for piece in ranges:
        assert piece.start == piece.records[0][0]
        assert piece.end == max(offset + length for offset, length in piece.records)
        assert piece.end - piece.start <= most or len(piece.records) == 1
        ends = [offset + length for offset, length in piece.records]
        assert all(
            offset - max(ends[: n + 1]) <= gap for n, (offset, _) in enumerate(piece.records[1:])
        )


def test_near_records_are_fetched_together() -> None:
    places = [("a", 0, 10), ("a", 15, 10), ("a", 200, 10), ("b", 15, 5)]
    assert list(coalesce(places, 10, 100)) == [
        Range("a", 0, 25, ((0, 10), (15, 10))),
        Range("a", 200, 210, ((200, 10),)),
        Range("b", 15, 20, ((15, 5),)),
    ]


def test_chosen_records_are_those_of_the_whole_archive(tmp_path: Path) -> None:
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl/a.warc.gz").write_bytes(b"".join(members(pages(20))))
    every = [
        item
        for item in read_captures(str(tmp_path / "crawl/a.warc.gz"))
        if isinstance(item, Capture)
    ]
    chosen = every[3:6] + every[15:]
    places = [("crawl/a.warc.gz", item.offset, item.length) for item in reversed(chosen)]
    access = ArchiveSettings(prefix=str(tmp_path))
    for gap, most in ((0, 1), (300, 1000), (1 << 20, 1 << 20)):
        assert list(read_ranges(coalesce(places, gap, most), access=access)) == chosen


def test_each_place_gives_a_capture_or_a_loss(tmp_path: Path) -> None:
    parts = [warc_record("http://a.example/"), warc_record("http://b.example/", kind="request")]
    parts = members(parts)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(parts))
    size = len(parts[0])
    places = [(str(path), 0, size), (str(path), 3, 9), (str(path), size, len(parts[1]))]
    found = list(read_ranges(coalesce(places, 0, 1)))
    assert [type(item) for item in found] == [Capture, Loss, Loss]
    assert [item.offset for item in found] == [0, 3, size]


@pytest.mark.parametrize("offset", [0, 5])
def test_a_place_beyond_the_file_is_a_loss(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(members(pages(1))[0])
    size = path.stat().st_size
    (found,) = read_ranges(coalesce([(str(path), size + offset, 100)], 0, 1))
    assert isinstance(found, Loss)
