from __future__ import annotations

import json
import random

import pytest

from benben.analysis import estimate
from benben.analysis.estimate import Estimate, SampleRuns, StageCost
from benben.pipeline import config


def stage(captures: int, left: int) -> list[StageCost]:
    """Stages that cost 3 s, and 0.01 s per capture and 0.1 s per deduplicated document."""
    work = 0.01 * captures + 0.1 * left
    tasks = tuple(work / 8 * (1 + 0.1 * (number % 3 - 1)) for number in range(8))
    sums = (3 + work, 1 + work, 0.0, tasks, 100 * captures + left, captures)
    kept = {"extract": captures, "fingerprint": captures, "cluster": left}
    return [StageCost(name, *sums, number, left) for name, number in kept.items()]


def whole(total: int, left: int = 400) -> Estimate:
    """The estimate for `total` bytes, 100 per capture, from samples of 400 and 100 captures."""
    large, copies = stage(400, left), stage(3200, left)
    return estimate.estimate(
        SampleRuns(large, stage(100, left // 4), large, copies, 8, 400, (10_000, 40_000)), total
    )


def test_fixed_costs_are_not_scaled() -> None:
    found = whole(4_000_000)
    assert found.core_seconds.value == pytest.approx(3 * (3 + 0.11 * 40_000))
    assert found.core_seconds.low < found.core_seconds.value < found.core_seconds.high
    assert found.captures.value == 40_000
    assert found.bytes_read == 4_000_000
    assert found.bytes_written.value == pytest.approx(3 * 101 * 40_000)
    assert found.bytes_shuffled.value == pytest.approx(3 * 40_000)


def test_duplicates_cost_no_more_than_reading_them() -> None:
    found = whole(4_000_000, 360)
    left = estimate.distinct(400, 360, 40_000)
    assert left < 4_000
    expected = 3 * (3 + 0.01 * 40_000 + 0.1 * left)
    assert found.core_seconds.value == pytest.approx(expected, rel=0.01)


def test_duplicates_of_the_whole_are_estimated_from_those_of_a_sample() -> None:
    chance = random.Random(1)
    draws = [len({chance.randrange(1_396) for _ in range(400)}) for _ in range(30)]
    found = [estimate.distinct(400, left, 20_000) for left in draws]
    assert sum(found) / 30 == pytest.approx(1_396, rel=0.1)
    assert estimate.distinct(400, 400, 20_000) == 20_000
    assert estimate.distinct(400, 399, 1_000) <= 1_000


def test_interval_covers_the_mean_nine_times_of_ten() -> None:
    chance = random.Random(2)
    hits = 0
    for _ in range(1_000):
        values = [chance.gauss(10, 2) for _ in range(8)]
        mean = sum(values) / 8
        hits += abs(mean - 10) <= estimate.relative_error(values) * mean
    assert 870 <= hits <= 930


def test_prices_are_the_tables() -> None:
    prices = config.parse_yaml(estimate.PRICES)
    found = whole(4_000_000_000)
    priced = estimate.price(found, prices, 10)
    machine = prices["machines"][prices["machine"]]
    hours = found.core_seconds.value / 3600 / (10 * machine["cores"]) / prices["busy"]
    assert priced["wall_hours"].value == pytest.approx(hours)
    dollars = hours * 10 * machine["hour"] * (1 + prices["platform_share"])
    assert priced["machines"].value == pytest.approx(dollars)
    text = estimate.as_text(found, priced)
    assert "core-hours" in text
    assert "USD" in text


def test_measured_numbers_are_printed_beside_the_estimate() -> None:
    found = whole(4_000_000)
    said = json.loads(estimate.as_json(found))
    lines = estimate.compare(said, {"captures": 50_000.0, "unknown": 3.0})
    assert len(lines) == 2
    assert lines[1].split() == ["captures", "40,000", "50,000", "0.80"]
