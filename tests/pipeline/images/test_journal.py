"""What was fetched survives the end of the process that fetched it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benben.pipeline import storage
from benben.pipeline.images.fetch.existing_copies import ArchiveLookup
from benben.pipeline.images.fetch.fetcher import fetch_part
from benben.pipeline.images.fetch.journal import (
    SLOTS,
    Segment,
    SlotRange,
    encode,
    read,
    slot_of,
    task_of,
)
from benben.pipeline.images.fetch.plan import PartOutcomes, WantedImage
from benben.pipeline.images.fetch.resolver import owner
from tests.pipeline.images.stores import pictures, store
from tests.shared import ROOT
from tests.web import Web, picture, serving, settings

ALL = SlotRange(0, SLOTS)


def entry(slot: int, number: int) -> dict[str, object]:
    """An entry that is told by its number."""
    request = {"url": "http://a.test/", "hops": number, "attempt": 1, "later": False}
    return {"kind": "moved", "slot": slot, **request, "target": "http://b.test/", "next": 1}


def entries(folder: Path, share: SlotRange = ALL) -> list[int]:
    return [entry["hops"] for entry in read(str(folder), share)]


def fill(folder: Path, numbers: range, share: SlotRange = ALL) -> None:
    segment = Segment(str(folder), share)
    for number in numbers:
        segment.append(encode(entry(number * SLOTS // 10, number)))
    segment.close()


def test_entries_are_read_in_order(tmp_path: Path) -> None:
    fill(tmp_path, range(10))
    assert entries(tmp_path) == list(range(10))


def test_entries_can_be_read_before_the_segment_is_closed(tmp_path: Path) -> None:
    segment = Segment(str(tmp_path), ALL)
    segment.append(encode(entry(1, 7)))
    assert entries(tmp_path) == [7]
    segment.close()


def test_readers_with_other_ranges_find_their_entries(tmp_path: Path) -> None:
    for task in range(2):
        fill(tmp_path, range(task * 5, task * 5 + 5), SlotRange.of(task, 2))
    found = [entries(tmp_path, SlotRange.of(task, 3)) for task in range(3)]
    assert sorted(number for part in found for number in part) == list(range(10))
    assert entries(tmp_path, SlotRange.of(0, 5)) == [0, 1]


@pytest.mark.parametrize("lost", [1, 5, 20, 30])
def test_incomplete_end_loses_the_last_entry_only(tmp_path: Path, lost: int) -> None:
    fill(tmp_path, range(10))
    (path,) = storage.list_files(str(tmp_path))
    os.truncate(path, os.path.getsize(path) - lost)
    assert entries(tmp_path) == list(range(9))


def test_flipped_byte_is_noticed(tmp_path: Path) -> None:
    fill(tmp_path, range(3))
    (path,) = map(Path, storage.list_files(str(tmp_path)))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert entries(tmp_path) == [0, 1]


@pytest.mark.parametrize(
    "poison",
    [
        {"hops": 2**40},
        {"url": "http://a.test/\ud800"},
        {"kind": "unknown"},
        {"kind": "outcome", "row": {"content_type": "image/png\udcff"}},
        {"kind": "outcome", "row": {"width": 2**31}},
        {"kind": "outcome", "row": {"detail": b"".hex(), "no_column": 1}},
    ],
)
def test_an_entry_that_no_table_could_hold_is_skipped_with_a_warning(
    tmp_path: Path, poison: dict[str, object]
) -> None:
    segment = Segment(str(tmp_path), ALL)
    for number in range(3):
        segment.append(encode(entry(1, number) | (poison if number == 1 else {})))
    segment.close()
    with pytest.warns(UserWarning, match="entry skipped"):
        assert entries(tmp_path) == [0, 2]


@given(st.integers(0, SLOTS - 1), st.integers(1, 5000))
def test_every_slot_lies_in_the_range_of_its_task(slot: int, tasks: int) -> None:
    assert slot in SlotRange.of(task_of(slot, tasks), tasks)


PART = """
import sys
from pathlib import Path
from benben.pipeline.images.fetch.existing_copies import ArchiveLookup
from benben.pipeline.images.fetch.fetcher import fetch_part
from benben.pipeline.images.fetch.journal import SLOTS, SlotRange
from benben.pipeline.images.fetch.plan import WantedImage
from tests.pipeline.images.stores import store
from tests.web import settings
port, number, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
chosen = settings("politeness.requests_per_second=150", allow=(f"127.0.0.1:{port}",))
wanted = [WantedImage.of(f"http://127.0.0.1:{port}/{n}.png") for n in range(number)]
fetch_part(wanted, store(Path(folder)), SlotRange(0, SLOTS), chosen, ArchiveLookup({}))
"""


def fetch_until_killed(web: Web, number: int, folder: Path, after: int) -> None:
    arguments = [sys.executable, "-c", PART, str(web.port), str(number), str(folder)]
    with subprocess.Popen(arguments, cwd=ROOT) as process:
        deadline = time.monotonic() + 60
        while len(web.paths()) < after and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)


def test_killed_fetch_resumes(tmp_path: Path) -> None:
    number = 240
    routes = {f"/{n}.png": picture(seed=n % 200) for n in range(number)}
    with serving({"/robots.txt": 404, **routes}) as web:
        wanted = [WantedImage.of(web.url(f"/{n}.png")) for n in range(number)]
        for after in (60, 130):
            fetch_until_killed(web, number, tmp_path / "killed", after)
        assert 130 <= len(web.paths()) < number
        chosen = settings(allow=(f"127.0.0.1:{web.port}",))
        fetch_part(wanted, store(tmp_path / "killed"), ALL, chosen, ArchiveLookup({}))
        asked = web.paths()
        in_flight = 2 * chosen.politeness.connections
        assert len(asked) <= number + in_flight
        assert max(asked.count(path) for path in set(asked)) <= 2
        assert (web.count("/robots.txt"), web.count("/.well-known/tdmrep.json")) == (1, 1)
        before = len(web.seen)
        fetch_part(wanted, store(tmp_path / "killed"), ALL, chosen, ArchiveLookup({}))
        assert len(web.seen) == before
        fetch_part(wanted, store(tmp_path / "whole"), ALL, chosen, ArchiveLookup({}))
    keys = [(image.url, 0) for image in wanted]
    killed, whole = (
        PartOutcomes(store(tmp_path / name), ALL, keys) for name in ("killed", "whole")
    )
    leave = ["fetched_at"]
    assert killed.images().drop_columns(leave) == whole.images().drop_columns(leave)
    assert pictures(tmp_path / "killed") == pictures(tmp_path / "whole")


def test_later_attempt_requests_only_what_may_succeed_now(tmp_path: Path) -> None:
    routes = {"/good": picture(), "/busy": 503, "/gone": 404, "/robots.txt": 404}
    with serving(dict(routes)) as web:
        allow = (f"127.0.0.1:{web.port}",)
        wanted = [WantedImage.of(web.url(path)) for path in ("/busy", "/gone", "/good")]
        share = [(image.url, 0) for image in wanted]

        def reasons() -> list[str | None]:
            return PartOutcomes(store(tmp_path), ALL, share).images()["reason"].to_pylist()

        fetch_part(wanted, store(tmp_path), ALL, settings(allow=allow), ArchiveLookup({}))
        assert reasons() == ["http.503", "http.404", None]
        web.routes["/busy"] = picture(seed=3)
        web.seen.clear()
        fetch_part(wanted, store(tmp_path), ALL, settings(allow=allow), ArchiveLookup({}))
        assert web.paths() == []
        fetch_part(
            wanted, store(tmp_path), ALL, settings("attempt=2", allow=allow), ArchiveLookup({})
        )
        assert web.paths() == ["/busy"]
        assert reasons() == [None, "http.404", None]


def test_missing_outcome_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="1 wanted images have no outcome"):
        PartOutcomes(store(tmp_path), ALL, [("http://a.test/", 0)])


def test_slot_follows_the_owner() -> None:
    assert slot_of("http://www.a.test/x") == slot_of("https://a.test:8443/y")
    assert owner("http://a.test/") == "a.test"
