from __future__ import annotations

import numpy as np
import pytest

from benben.loading.order import Shuffle, Unit, permutation, seek, windows


def test_permutations_are_what_they_were_in_every_version() -> None:
    assert permutation(8, 0, 0).tolist() == [0, 7, 2, 5, 4, 6, 3, 1]
    assert permutation(8, 7, 1, 2).tolist() == [5, 6, 0, 2, 4, 3, 1, 7]


@pytest.mark.parametrize("size", [0, 1, 2, 1000])
def test_a_permutation_holds_each_number_once_and_depends_on_every_part_of_its_key(
    size: int,
) -> None:
    assert sorted(permutation(size, 1, 2)) == list(range(size))
    if size > 2:
        keys = [(1, 2), (2, 1), (1, 2, 0), (-1, 2), (1, -2), (1, 3)]
        assert len({tuple(permutation(size, *key)) for key in keys}) == len(keys)


def test_a_permutation_is_even() -> None:
    firsts = [int(permutation(10, seed)[0]) for seed in range(5000)]
    counts = np.bincount(firsts, minlength=10)
    assert counts.min() > 400
    assert counts.max() < 600


def test_a_window_ends_by_rows_or_by_bytes() -> None:
    units = [Unit(0, group, 10, 1000) for group in range(12)]
    by_rows = windows(units, Shuffle(0, 25, 10**9), 0, 0, 1)
    assert [window.rows for window in by_rows] == [30, 30, 30, 30]
    by_bytes = windows(units, Shuffle(0, 10**9, 2000), 0, 0, 1)
    assert [window.rows for window in by_bytes] == [20] * 6
    assert seek(by_rows, 0) == (0, 0)
    assert seek(by_rows, 30) == (1, 0)
    assert seek(by_rows, 59) == (1, 29)
    assert seek(by_rows, 120) == (4, 0)
