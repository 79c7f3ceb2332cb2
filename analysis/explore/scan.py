"""Searches of a text in columns of the files, in steps of about a second.

Texts of many documents are larger than memory, and a whole look at them may take minutes. A step
looks through row groups whose columns hold at most `STEP_BYTES`. Row groups come in an order mixed
once and for all, those first that hold documents which meet a search's other conditions. So what a
step looks through follows from the run and the search alone, and what it finds is a sample.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benben.common.hashing import GOLDEN_GAMMA, mix64
from benben.pipeline import storage

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]
STEP_BYTES = 512 << 20  # of columns before compression, which two cores read in about a second
THREADS = 2
AT_ONCE = 32 << 20  # bytes of a column that a thread holds
CACHED = 8  # conditions whose results are kept


@dataclass(frozen=True)
class Condition:
    """A text that is an entry of a column or, in any case, a part of one.

    `path`: of the column for a parquet reader; a list has several entries.
    """

    path: str
    part: str
    exact: bool = False


@dataclass(frozen=True)
class Look:
    """What a look through the files found, and which documents it looked at."""

    found: list[Mask]  # of each condition
    looked: Mask
    whole: bool  # whether it looked at all documents
    left: int  # bytes of columns in the row groups that it did not look at


@dataclass
class _Groups:
    """The row groups of all files, in their order."""

    file: Numbers
    number: Numbers
    first: Numbers  # row
    rows: Numbers
    mixed: NDArray[np.uint64]  # keys of the order in which they are looked through


@dataclass
class _Known:
    """What is known of a condition."""

    found: Mask  # documents
    done: Mask  # row groups


class Scanner:
    """Looks through files whose rows are documents; remembers what it has found."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths
        self._known: OrderedDict[Condition, _Known] = OrderedDict()

    def look(self, conditions: Sequence[Condition], among: Mask, steps: int | None) -> Look:
        """Look for documents that meet each condition, first where some are of `among`.

        `steps`: how many to take; None: through all files.
        """
        groups = self._groups
        wanted = np.logical_or.reduceat(among, groups.first) if len(among) else among
        order = np.lexsort((groups.mixed, ~wanted))
        sizes = np.cumsum(self._bytes(sorted({one.path for one in conditions}))[order])
        number = len(order)
        if steps is not None:
            begun = int(np.searchsorted(sizes, steps * STEP_BYTES)) + 1
            number = min(number, max(begun, steps))  # a step looks at one at least
        chosen = np.zeros(len(order), np.bool_)
        chosen[order[:number]] = True
        looked = np.repeat(chosen, groups.rows)
        found = [self._found(one, chosen) & looked for one in conditions]
        left = int(sizes[-1] - sizes[number - 1]) if number else 0
        return Look(found, looked, bool(chosen.all()), left)

    @cached_property
    def _footers(self) -> list[pq.FileMetaData]:
        return [storage.footer(path) for path in self.paths]

    @cached_property
    def _groups(self) -> _Groups:
        rows = [
            (file, number, count)
            for file, footer in enumerate(self._footers)
            for number in range(footer.num_row_groups)
            if (count := footer.row_group(number).num_rows)
        ]
        file, number, counts = np.array(rows, np.int64).reshape(-1, 3).T
        with np.errstate(over="ignore"):
            keys = mix64(np.arange(1, len(rows) + 1, dtype=np.uint64) * np.uint64(GOLDEN_GAMMA))
        return _Groups(file, number, np.cumsum(counts) - counts, counts, keys)

    def _bytes(self, paths: Iterable[str]) -> Numbers:
        """Bytes of columns in each row group."""
        sizes = np.zeros(len(self._groups.file), np.int64)
        wanted = set(paths)
        for file, footer in enumerate(self._footers):
            (here,) = np.nonzero(self._groups.file == file)
            columns = [
                place
                for place in range(footer.num_columns)
                if footer.schema.column(place).path in wanted
            ]
            for place in here.tolist():
                group = footer.row_group(int(self._groups.number[place]))
                sizes[place] = sum(group.column(one).total_uncompressed_size for one in columns)
        return sizes

    def _found(self, condition: Condition, chosen: Mask) -> Mask:
        """Documents of the chosen row groups that meet a condition, and perhaps others."""
        groups = self._groups
        known = self._known.pop(condition, None)
        if known is None:
            rows = int(groups.rows.sum())
            known = _Known(np.zeros(rows, np.bool_), np.zeros(len(groups.file), np.bool_))
        missing = np.flatnonzero(chosen & ~known.done)
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(
                lambda places: self._read(condition, places, known.found),
                self._tasks(condition, missing),
            ):
                pass
        known.done[missing] = True
        self._known[condition] = known
        if len(self._known) > CACHED:
            self._known.popitem(last=False)
        return known.found

    def _tasks(self, condition: Condition, places: Numbers) -> list[list[int]]:
        """Row groups that are read together: of one file, and not too large."""
        sizes = self._bytes([condition.path])
        tasks: list[list[int]] = []
        size, last = 0, -1
        for place in places.tolist():
            if self._groups.file[place] != last or size + sizes[place] > AT_ONCE:
                tasks.append([])
                size, last = 0, self._groups.file[place]
            tasks[-1].append(place)
            size += int(sizes[place])
        return tasks

    def _read(self, condition: Condition, places: list[int], found: Mask) -> None:
        """Look through row groups of one file."""
        groups, file = self._groups, int(self._groups.file[places[0]])
        if not any(
            self._footers[file].schema.column(place).path == condition.path
            for place in range(self._footers[file].num_columns)
        ):
            return
        rows = np.concatenate([
            np.arange(groups.first[place], groups.first[place] + groups.rows[place])
            for place in places
        ])  # fmt: skip
        with storage.open_input(self.paths[file]) as stream:
            opened = pq.ParquetFile(stream, metadata=self._footers[file])
            numbers = groups.number[places].tolist()
            column = opened.read_row_groups(numbers, [condition.path], use_threads=False).column(0)
        first = 0
        for chunk in column.chunks:
            texts, owners = flat(chunk)
            if condition.exact:
                meets = pc.equal(texts, condition.part)
            else:
                meets = pc.match_substring(texts, condition.part, ignore_case=True)
            hits = pc.fill_null(meets, False).to_numpy(zero_copy_only=False)
            found[rows[first + owners[hits]]] = True
            first += len(chunk)


def flat(column: pa.Array) -> tuple[pa.Array, Numbers]:
    """Entries of a column of texts, of lists of them or of lists of structs; each one's row."""
    owners = np.arange(len(column))
    while not pa.types.is_string(column.type):
        if pa.types.is_struct(column.type):
            column = column.flatten()[0]
        else:
            owners = owners[pc.list_parent_indices(column).to_numpy()]
            column = column.flatten()
    return column, owners
