"""Hash tables for compiled code: open addressing with linear probing (Knuth, TAOCP 3, 6.4).

A `Table` holds values by key. Where keys lie in an array anyway, an array of row numbers is the
table: `find_row`. Both have 2^bits slots, at least four for each entry, so that a probe is short.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benben.common import hashing
from benben.pipeline.compiled import Integers, borrowed, called, compiled, int64

FREE = -1  # marks a free slot in a table of rows; in a `Table` the key 0 does
_SLOTS_PER_ENTRY = 4
_FEWEST_BITS = 6
_GAMMA, _WORD = np.uint64(hashing.GOLDEN_GAMMA), np.uint64(64)


class Table(NamedTuple):
    """Values by 64-bit key. No key is 0; a free slot has the key 0 and the value 0."""

    keys: NDArray[Any]
    values: NDArray[Any]
    bits: int  # there are 2^bits slots


def make_table(keys: NDArray[Any], values: NDArray[Any]) -> Table:
    """Make a table of keys and their values; the values of equal keys are joined by bitwise or."""
    table = empty_table(len(keys), keys.dtype, values.dtype)
    _fill(table, keys, values)
    return table


def empty_table(number: int, key_type: Any = np.int64, value_type: Any = np.int64) -> Table:
    """Make an empty table for a number of entries."""
    bits = slot_bits(number)
    return Table(np.zeros(1 << bits, key_type), np.zeros(1 << bits, value_type), bits)


@compiled
def _fill(table: Table, keys: NDArray[Any], values: NDArray[Any]) -> None:
    for row in range(len(keys)):
        slot = find_slot(table, keys[row])
        table.keys[slot] = keys[row]
        table.values[slot] |= values[row]


@compiled
def borrowed_table(table: Table) -> Table:
    """A table without reference counts, for the inside of compiled code: see `borrowed`."""
    return Table(borrowed(table.keys), borrowed(table.values), table.bits)


@compiled
def slot_bits(number: int) -> int:
    """Bits of a slot's number in a table for a number of entries."""
    bits = _FEWEST_BITS
    while (1 << bits) < _SLOTS_PER_ENTRY * number:
        bits += 1
    return bits


@compiled
def first_slot(key: Any, bits: int) -> int:
    """Slot where the search for a key begins: the top bits of a product, so every bit counts."""
    return int64((np.uint64(key) * _GAMMA) >> (_WORD - np.uint64(bits)))


@compiled
def find_slot(table: Table, key: Any) -> int:
    """Slot of a key, or the free slot where it belongs."""
    slot, last = first_slot(key, table.bits), (1 << table.bits) - 1
    while table.keys[slot] != 0 and table.keys[slot] != key:
        slot = (slot + 1) & last
    return slot


@compiled
def look_up(table: Table, key: Any) -> int:
    """Value of a key, or 0."""
    return int64(table.values[find_slot(table, key)])


@compiled
def look_up_each(table: Table, keys: NDArray[Any]) -> NDArray[Any]:
    """Values of many keys; 0 for those that are not in the table."""
    found = np.empty(len(keys), table.values.dtype)
    table = borrowed_table(table)
    for row in range(len(keys)):
        found[row] = look_up(table, keys[row])
    return found


@compiled
def find_row(rows: NDArray[np.int64], bits: int, keys: NDArray[Any], key: Any) -> int:
    """Slot of the row that has a key, or the FREE slot where such a row belongs.

    `rows`: the table, row numbers of `keys`; only its first 2^bits slots are used.
    """
    slot, last = first_slot(key, bits), (1 << bits) - 1
    while rows[slot] >= 0 and keys[rows[slot]] != key:
        slot = (slot + 1) & last
    return slot


@called
def group(keys: Integers, weights: Integers) -> tuple[Integers, Integers, Integers]:
    """Return for each key how often it occurs, the sum of its weights, and its number from 0."""
    bits = slot_bits(len(keys))
    slots = np.full(1 << bits, FREE)  # the first place of the key
    firsts = np.empty(len(keys), np.int64)
    counts, sums = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
    numbers = np.empty(len(keys), np.int64)
    known = 0
    for place in range(len(keys)):
        slot = find_row(slots, bits, keys, keys[place])
        if slots[slot] == FREE:
            slots[slot] = place
            numbers[place] = known
            known += 1
        first = firsts[place] = slots[slot]
        numbers[place] = numbers[first]
        counts[first] += 1
        sums[first] += weights[place]
    return counts[firsts], sums[firsts], numbers
