"""Tables find what was put in, whatever the keys look like."""

from __future__ import annotations

import numpy as np
import pytest

from benben.pipeline.hash_tables import FREE, find_row, look_up_each, make_table, slot_bits


@pytest.mark.parametrize("step", [1, 2**20, 2**50])
def test_table_holds_the_values_of_its_keys_and_no_others(step: int) -> None:
    keys = np.arange(1, 2001, dtype=np.int64) * step
    values = np.arange(1, 2001, dtype=np.int64)
    table = make_table(keys, values)
    assert (look_up_each(table, keys) == values).all()
    assert (look_up_each(table, keys + step * 2000) == 0).all()
    assert len(table.keys) == 1 << slot_bits(2000) >= 4 * 2000


def test_values_of_equal_keys_are_joined() -> None:
    keys, values = np.array([7, 8, 7], np.uint64), np.array([1, 1, 4], np.uint8)
    assert look_up_each(make_table(keys, values), keys).tolist() == [5, 1, 5]


def test_rows_are_found_by_their_key() -> None:
    keys = np.array([5, 0, 5, -3], np.int64)
    bits = slot_bits(len(keys))
    rows = np.full(1 << bits, FREE)
    for row in (0, 1, 3):
        slot = find_row(rows, bits, keys, keys[row])
        assert rows[slot] == FREE
        rows[slot] = row
    assert [rows[find_row(rows, bits, keys, key)] for key in keys] == [0, 1, 0, 3]
