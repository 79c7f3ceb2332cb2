"""What a search looks at, in memory: a few numbers for each document of a run, read once.

A document takes about 40 bytes, so ten million take 0.4 GB. Texts and addresses stay in the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benben.analysis.explore.scan import Scanner
from benben.analysis.tables import RunTables
from benben.filters.decide import scope_values
from benben.filters.declaration import Column
from benben.filters.signal_table import CATALOGUE, columns_of, read_rules, required_columns
from benben.pipeline import config, storage

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
FACETS = ("lang", "page_type", "host", "reason")  # columns of names, by which searches narrow
ROWS_AT_ONCE = 65_536
LISTED = 100  # names of a facet
CACHED_SIGNALS = 8  # to sort by


@dataclass
class Names:
    """A column of names: each row's code is a place in `values`; -1: the row has none."""

    values: list[str]
    codes: NDArray[np.int32]

    def code(self, name: str) -> int:
        """The code of a name; -2, which no row has, for one that does not occur."""
        return self.values.index(name) if name in self.values else -2


class _NamesReader:
    """Joins columns of names of many files."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.parts: list[NDArray[np.int32]] = []

    def add(self, column: pa.ChunkedArray | pa.Array) -> None:
        whole = pa.chunked_array([column]) if isinstance(column, pa.Array) else column
        coded = whole.combine_chunks().dictionary_encode()
        for one in coded.chunks if isinstance(coded, pa.ChunkedArray) else [coded]:
            names = one.dictionary.to_pylist()
            places = [self.places.setdefault(name, len(self.places)) for name in names]
            known = np.array([*places, -1], np.int32)
            self.parts.append(known[pc.fill_null(one.indices, len(places)).to_numpy()])

    def names(self) -> Names:
        empty = np.zeros(0, np.int32)
        return Names(list(self.places), np.concatenate([empty, *self.parts]))


class Index:
    """The documents of a run in the order of its tables: row n is the n-th document."""

    def __init__(self, tables: RunTables) -> None:
        """Read the columns. Raises InputError when there is no run."""
        self.tables = tables
        readers = {name: _NamesReader() for name in FACETS}
        digests, kept, owners = [b""], [np.zeros(0, np.bool_)], [np.zeros(0, np.int64)]
        self.files: list[tuple[int, str, str]] = []  # first row, documents, verdicts of each part
        rows = 0
        for documents, verdicts in tables.aligned("documents", tables.verdicts):
            known = _read(documents, ["doc_id", "host", "page_type"])
            judged = _read(verdicts, ["lang", "kept", "reasons"])
            digests.append(bytes.fromhex("".join(known["doc_id"].to_pylist())))
            for name in ("host", "page_type"):
                nothing = pa.nulls(known.num_rows, pa.string())  # runs of before the column
                readers[name].add(known[name] if name in known.column_names else nothing)
            readers["lang"].add(judged["lang"])
            kept.append(judged["kept"].to_numpy())
            reasons = judged["reasons"].combine_chunks()
            readers["reason"].add(reasons.flatten())
            owners.append(pc.list_parent_indices(reasons).to_numpy() + rows)
            self.files.append((rows, documents, verdicts))
            rows += known.num_rows
        self.names = {name: reader.names() for name, reader in readers.items()}
        self.kept: Mask = np.concatenate(kept)
        self.owners: Rows = np.concatenate(owners)  # row of each entry of names["reason"]
        self.digests = np.frombuffer(b"".join(digests), ">u8").reshape(rows, 2)
        self.order = np.lexsort((self.digests[:, 1], self.digests[:, 0]))  # rows by document id
        self.rank = np.empty(rows, np.uint32)  # place of each row in that order
        self.rank[self.order] = np.arange(rows, dtype=np.uint32)
        self.texts = Scanner([documents for _, documents, _ in self.files])
        self.verdicts = Scanner([verdicts for _, _, verdicts in self.files])
        self.signal = lru_cache(CACHED_SIGNALS)(self._signal)

    def __len__(self) -> int:
        return len(self.kept)

    def doc_id(self, row: int) -> str:
        """The document's id."""
        return self.digests[row].tobytes().hex()

    def row(self, doc_id: str) -> int | None:
        """The row of a document; None when there is none with this id."""
        try:
            high, low = (int(doc_id[start : start + 16], 16) for start in (0, 16))
        except ValueError:
            return None
        ordered = self.digests[:, 0]
        place = int(np.searchsorted(ordered, np.uint64(high), sorter=self.order))
        while place < len(self) and self.digests[self.order[place], 0] == high:
            if self.digests[self.order[place], 1] == low:
                return int(self.order[place])
            place += 1
        return None

    def with_name(self, facet: str, name: str) -> Mask:
        """Which documents have the name; of reasons, at any place."""
        column = self.names[facet]
        found: Mask = column.codes == column.code(name)
        if facet != "reason":
            return found
        mask = np.zeros(len(self), np.bool_)
        mask[self.owners[found]] = True
        return mask

    def counts(self, facet: str, mask: Mask | None) -> list[tuple[str, int]]:
        """How many of the documents have each name: the most frequent `LISTED` names.

        `mask` None: of all documents.
        """
        column, codes = self.names[facet], self.names[facet].codes
        if mask is not None:
            codes = codes[mask[self.owners] if facet == "reason" else mask]
        numbers = np.bincount(codes + 1, minlength=len(column.values) + 1)[1:]
        places = np.argsort(-numbers, kind="stable")[:LISTED].tolist()
        found = [(column.values[code], int(numbers[code])) for code in places if numbers[code]]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def first(self, mask: Mask, number: int) -> Rows:
        """The first `number` documents of a mask by their ids."""
        parts, missing = [np.zeros(0, np.int64)], number
        for start in range(0, len(self), ROWS_AT_ONCE):
            rows = self.order[start : start + ROWS_AT_ONCE]
            parts.append(rows[mask[rows]][:missing])
            missing -= len(parts[-1])
            if not missing:
                break
        return np.concatenate(parts)

    def _signal(self, name: str) -> NDArray[np.float32]:
        """Values of a signal of documents; NaN where it is unknown.

        A signal that is summed over nodes is the sum over those that the run's rules keep.
        """
        stored = _stored_column(name)
        if stored is not None:
            pairs = self.tables.aligned("documents", "signals")
            own = [_stored_values(path, stored) for _, path in pairs]
            return np.concatenate([np.zeros(0, np.float32), *own])
        rules = read_rules(config.of_run(self.tables.output) or "default")
        columns = sorted({*columns_of({"document": [name]}), *required_columns(rules)})
        parts = [np.zeros(0, np.float32)]
        for files in self.tables.aligned("documents", "signals"):
            for batch in storage.iter_parquet(files[1], columns):
                known = batch.column("reason").is_null()
                values = np.full(batch.num_rows, np.nan, np.float32)
                if pc.any(known).as_py():
                    found = scope_values(batch.filter(known), rules, "document", [name])
                    values[known.to_numpy(zero_copy_only=False)] = found.values[name]
                parts.append(values)
        return np.concatenate(parts)

    def read(self, rows: Iterable[int], columns: list[str]) -> dict[int, dict[str, Any]]:
        """Columns of the documents of some rows, by row; reads only their row groups."""
        return self._read(rows, columns, 1)

    def read_verdicts(self, rows: Iterable[int]) -> dict[int, dict[str, Any]]:
        """The verdicts on the documents of some rows, by row."""
        return self._read(rows, ["lang", "kept", "reasons", "dropped"], 2)

    def _read(
        self, rows: Iterable[int], columns: list[str], column: int
    ) -> dict[int, dict[str, Any]]:
        wanted, found = np.array(sorted(rows), np.int64), {}
        for place, file in enumerate(self.files):
            end = self.files[place + 1][0] if place + 1 < len(self.files) else len(self)
            here = wanted[(wanted >= file[0]) & (wanted < end)]
            if len(here):
                for offset, row in _rows_of(str(file[column]), here - file[0], columns):
                    found[file[0] + offset] = row
        return found


def numeric_signals() -> list[str]:
    """Names of the signals of documents that are numbers."""
    return sorted(name for name, one in CATALOGUE["document"].items() if not one.names)


def _stored_column(name: str) -> str | None:
    """The column of SIGNALS that has a signal's values; None if they are computed from others."""
    signal = CATALOGUE["document"][name]
    count = signal.count
    plain = isinstance(count, Column) and count.scope == "document" and signal.per is None
    return count.name if plain else None


def _stored_values(path: str, column: str) -> NDArray[np.float32]:
    """Values of a column of SIGNALS; NaN where extraction rejected the document."""
    table = _read(path, [column, "reason"])
    values = pc.cast(table[column], pa.float32())
    known = pc.is_null(table["reason"])
    found: NDArray[np.float32] = pc.if_else(known, values, np.float32("nan")).to_numpy()
    return found


def _read(path: str, columns: list[str]) -> pa.Table:
    with storage.open_input(path) as stream:
        return pq.ParquetFile(stream).read(columns)


def _rows_of(path: str, wanted: Rows, columns: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a file by their places in it."""
    with storage.open_input(path) as stream:
        file, first = pq.ParquetFile(stream), 0
        for group in range(file.num_row_groups):
            number = file.metadata.row_group(group).num_rows
            here = wanted[(wanted >= first) & (wanted < first + number)]
            if len(here):
                table = file.read_row_group(group, columns).take(pa.array(here - first))
                yield from zip(here.tolist(), table.to_pylist(), strict=True)
            first += number
