from __future__ import annotations

import itertools

import numpy as np
import pytest

from benben.analysis.report.histogram import MAX_BARS, Histogram


def filled(values: list[float], unit: str = "ratio") -> Histogram:
    made = Histogram("x", unit, "")
    made.add(np.array(values, np.float64))
    return made


def test_batches_add_up_and_unknown_values_are_counted_apart() -> None:
    made = filled([0.1, np.nan, 0.2])
    made.add(np.array([0.3, 0.4]), np.array([True, False]))
    assert (made.number, made.unknown, made.kept.sum(), made.dropped.sum()) == (4, 1, 3, 1)
    assert made.mean == pytest.approx(0.25)


def test_shares_are_drawn_from_zero_to_one() -> None:
    bars = filled([0.0, 0.5, 1.0]).bars()
    assert len(bars) == MAX_BARS
    assert (bars[0].low, bars[0].kept, bars[-1].kept) == (0, 1, 1)
    assert sum(bar.kept for bar in bars) == 3


@pytest.mark.parametrize("values", [[3, 5, 7000], [1e11, 2e11], [0, 1, 2], [2]])
def test_no_value_is_lost_in_drawing(values: list[float]) -> None:
    bars = filled(values).bars()
    assert sum(bar.kept for bar in bars) == len(values)
    assert len(bars) <= MAX_BARS
    assert all(left.high == right.low for left, right in itertools.pairwise(bars))


def test_quantiles_are_near_the_true_ones() -> None:
    values = np.random.default_rng(1).lognormal(5, 1, 10_000)
    made = filled(list(values), "seconds")
    for share in (0.1, 0.5, 0.9):
        assert made.quantile(share) == pytest.approx(np.quantile(values, share), rel=0.05)
    assert filled([0.0] * 9 + [1.0]).quantile(0.5) == 0
    assert filled([5.0] * 9, "count").quantile(0.5) == 5


def test_an_empty_histogram_has_no_bars() -> None:
    assert Histogram("x", "ratio", "").bars() == []
