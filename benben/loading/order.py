"""Which rows come when: in order or shuffled, in one shard or many, and from any position on.

A unit is a row group, or every k-th row of one where there are fewer row groups than readers. An
epoch is a permutation of the units, dealt out to the shards one by one. A shard reads them in
windows, and shuffles the rows of a window. All of it follows from the numbers in the files' footers
and from the seed, so a position is a number of rows and nothing has to be replayed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pyarrow.parquet as pq

from benben.common.hashing import GOLDEN_GAMMA, splitmix64

UNITS_PER_SHARD = 4  # at least, so that shards differ by a quarter of their rows at most, about
_GOLDEN = np.uint64(GOLDEN_GAMMA)


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows `part`, `part + parts`, ... of a row group."""

    file: int
    group: int
    group_rows: int
    group_bytes: int  # uncompressed
    part: int = 0
    parts: int = 1

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(range(self.part, self.group_rows, self.parts))


@dataclass(frozen=True)
class Shuffle:
    """How rows are shuffled: by windows of so many rows and bytes, whichever comes first."""

    seed: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class Window:
    """Units that are read together, and the order in which their rows come."""

    units: tuple[Unit, ...]
    rows: int
    key: tuple[int, ...] | None  # None: in order

    def places(self) -> np.ndarray:
        """Return (unit of the window, row of its row group), in order: [rows, 2] int64."""
        parts = [np.arange(u.part, u.group_rows, u.parts, dtype=np.int64) for u in self.units]
        numbers = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        places = np.stack([numbers, np.concatenate(parts)], axis=1)
        return places if self.key is None else places[permutation(len(places), *self.key)]


def units_of(footers: Sequence[pq.FileMetaData], shards: int) -> list[Unit]:
    """Return the units of files, for so many shards."""
    groups = [
        Unit(number, group, found.num_rows, found.total_byte_size)
        for number, footer in enumerate(footers)
        for group in range(footer.num_row_groups)
        if (found := footer.row_group(group)).num_rows
    ]
    wanted = UNITS_PER_SHARD * shards if shards > 1 else 1
    parts = max(1, -(-wanted // max(1, len(groups))))
    return [
        Unit(u.file, u.group, u.group_rows, u.group_bytes, part, parts)
        for u in groups
        for part in range(min(parts, u.group_rows))
    ]


def windows(
    units: Sequence[Unit], shuffle: Shuffle | None, epoch: int, index: int, count: int
) -> list[Window]:
    """Return the windows of one shard in an epoch."""
    if shuffle is None:
        return [Window((unit,), unit.rows, None) for unit in units[index::count]]
    order = permutation(len(units), shuffle.seed, epoch)[index::count]
    made = _filled((units[number] for number in order), shuffle)
    return [
        Window(tuple(some), sum(u.rows for u in some), (shuffle.seed, epoch, index, count, number))
        for number, some in enumerate(made)
    ]


def _filled(units: Iterator[Unit], shuffle: Shuffle) -> Iterator[list[Unit]]:
    some: list[Unit] = []
    rows = size = 0
    for unit in units:
        some.append(unit)
        rows += unit.rows
        size += unit.group_bytes // unit.parts
        if rows >= shuffle.rows or size >= shuffle.bytes:
            yield some
            some, rows, size = [], 0, 0
    if some:
        yield some


def seek(planned: Sequence[Window], taken: int) -> tuple[int, int]:
    """Return the window and the row in it that come after `taken` rows."""
    ends = list(accumulate(window.rows for window in planned))
    number = int(np.searchsorted(ends, taken, side="right"))
    return number, taken - (ends[number - 1] if number else 0)


def permutation(size: int, *key: int) -> np.ndarray:
    """Return a permutation that depends on its key alone, not on the version of a library.

    Numbers are ordered by splitmix64 of the key and themselves.
    """
    state = np.uint64(0)
    with np.errstate(over="ignore"):
        for number in key:
            state = splitmix64(np.array([number & (2**64 - 1)], np.uint64) ^ state)[0]
        numbers = np.arange(size, dtype=np.uint64) * _GOLDEN + state
        return np.argsort(splitmix64(numbers), kind="stable")
