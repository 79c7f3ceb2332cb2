from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from benben.pipeline.storage.throttle import SLOWEST, Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def throttle(folder: Path, clock: Clock, rate: float = 10) -> Throttle:
    return Throttle("http://a.example", rate, folder, clock, clock.sleep)


def test_requests_are_spaced(tmp_path: Path) -> None:
    clock = Clock()
    pace = throttle(tmp_path, clock)
    times = []
    for _ in range(4):
        pace.wait()
        times.append(clock.now)
    assert times == pytest.approx([100.0, 100.1, 100.2, 100.3])


def test_all_that_name_the_same_server_share_its_pace(tmp_path: Path) -> None:
    clock = Clock()
    one, two = throttle(tmp_path, clock), throttle(tmp_path, clock)
    one.wait()
    two.wait()
    assert clock.now == pytest.approx(100.1)
    Throttle("http://b.example", 10, tmp_path, clock, clock.sleep).wait()
    assert clock.now == pytest.approx(100.1)


def test_slow_down_holds_everybody_and_halves_the_pace(tmp_path: Path) -> None:
    clock = Clock()
    one, two = throttle(tmp_path, clock), throttle(tmp_path, clock)
    one.slow_down(5)
    two.wait()
    assert clock.now == pytest.approx(105.0)
    two.wait()
    assert clock.now == pytest.approx(105.2)
    for _ in range(200):
        one.wait()
    start = clock.now
    one.wait()
    assert clock.now - start == pytest.approx(0.1)


def test_the_pace_never_falls_to_nothing(tmp_path: Path) -> None:
    clock = Clock()
    pace = throttle(tmp_path, clock)
    for _ in range(100):
        pace.slow_down(0)
    pace.wait()
    start = clock.now
    pace.wait()
    assert clock.now - start == pytest.approx(0.1 * SLOWEST)


@pytest.mark.parametrize("left", [b"", b"short", b"\xff" * 16, b"\x7f" * 16])
def test_a_spoilt_file_is_no_harm(tmp_path: Path, left: bytes) -> None:
    clock = Clock()
    pace = throttle(tmp_path, clock)
    pace.wait()
    (file,) = tmp_path.iterdir()
    file.write_bytes(left)
    pace.wait()
    pace.wait()
    assert clock.now < 100 + 0.1 * SLOWEST * 2


def _starts(folder: Path, number: int) -> list[float]:
    pace = Throttle("http://a.example", 200, folder)
    times = []
    for _ in range(number):
        pace.wait()
        times.append(time.monotonic())
    return times


def test_processes_together_keep_the_pace(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(3) as pool:
        runs = pool.starmap(_starts, [(tmp_path, 10)] * 3)
    times = sorted(time for run in runs for time in run)
    assert times[-1] - times[0] >= 29 / 200 * 0.9
