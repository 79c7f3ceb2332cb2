"""Read-only access to the tables of a finished run: manifests, files, batches, rows by key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benben.pipeline import manifest, storage
from benben.pipeline.deduplication import duplicates
from benben.pipeline.errors import InputError
from benben.pipeline.manifest import Manifest

# Tables whose part k holds the same documents.
ALIGNED = {"documents", "signals", "verdicts", "final_verdicts"}
# What a table holds, and the stage that makes it.
_MADE_BY = {
    "documents": ("documents", "extract"),
    "consent": ("receipts", "fetch"),
    "dataset": ("dataset", "assemble"),
}


class RunTables:
    """The committed tables in a run's folder."""

    def __init__(
        self,
        output: str,
        staged: tuple[str, Manifest] | None = None,
        documents: int | None = None,
    ) -> None:
        """Open a run's folder. Raises InputError when it has no table of documents.

        `staged`: folder and manifest of a dataset that will replace the committed one.
        `documents`: in a larger run, read only some parts of the tables in ALIGNED, evenly spread
        over the run, that hold about this many documents. All other tables are read whole.
        """
        self.output, self._staged = output, staged
        found = self.find("documents")
        if found is None:
            raise InputError(f"{output}: no run here (no documents/{manifest.NAME}); run it first")
        self.documents = found.rows
        self._parts = _evenly_spread(found, documents)
        self.documents_read = sum(file.rows for file in found.files if file.part in self._parts)

    def folder(self, table: str) -> str:
        """The folder of a table."""
        if self._staged and table == "dataset":
            return self._staged[0]
        return storage.join(self.output, table)

    def find(self, table: str) -> Manifest | None:
        """A table's manifest; None when the run has not made the table."""
        if self._staged and table == "dataset":
            return self._staged[1]
        return manifest.read(self.folder(table))

    def need(self, table: str) -> Manifest:
        """A table's manifest. Raises InputError, naming the stage to run, when there is none."""
        found = self.find(table)
        if found is None:
            what, stage = _MADE_BY[table]
            raise InputError(f"{self.output}: no {what} here yet; run `benben {stage}` first")
        return found

    def paths(self, table: str) -> dict[int, list[str]]:
        """Map part numbers to the files of a table; empty when there is no such table.

        The dataset is named by kind of row: `dataset/data`, `dataset/data/SPLIT` for one split,
        and `dataset/images`.
        """
        name, _, kind = table.partition("/")
        found = self.find(name)
        paths: dict[int, list[str]] = {}
        for file in found.files if found else []:
            if name in ALIGNED and file.part not in self._parts:
                continue
            if file.name.startswith((f"{kind}/", f"{kind}-")) or not kind:
                paths.setdefault(file.part, []).append(storage.join(self.folder(name), file.name))
        return paths

    @cached_property
    def verdicts(self) -> str:
        """Name of the latest table of verdicts that the run has."""
        return "final_verdicts" if self.find("final_verdicts") else "verdicts"

    def aligned(self, *tables: str) -> Iterator[list[str]]:
        """For each part that all the tables have: one file of each table."""
        paths = [self.paths(table) for table in tables]
        for part in sorted(set.intersection(*(set(found) for found in paths))):
            yield [found[part][0] for found in paths]

    def batches(self, table: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All rows of a table in batches, in the order of its parts."""
        for _, files in sorted(self.paths(table).items()):
            for path in files:
                yield from storage.iter_parquet(path, columns)

    def duplicates(self, ids: Sequence[str]) -> dict[str, dict[str, object]]:
        """Deduplication's rows on those of the documents that it dropped, by document id.

        Covers both deduplication stages, before and after the images are fetched.
        """
        return {
            name: row
            for table in duplicates.TABLES
            for name, row in self.lookup(table, "doc_id", ids).items()
            if row["reason"]
        }

    def lookup(
        self, table: str, key: str, values: Sequence[str], columns: list[str] | None = None
    ) -> dict[str, dict[str, object]]:
        """Rows whose column `key` has one of the values, by that value.

        Scans only the column `key`, and reads the other columns of row groups with a match.
        """
        found: dict[str, dict[str, object]] = {}
        wanted = set(values)
        for path in [path for _, files in sorted(self.paths(table).items()) for path in files]:
            if not wanted:
                break
            with storage.open_input(path) as stream:
                for rows in _matches(pq.ParquetFile(stream), key, wanted, columns):
                    for row in rows.to_pylist():
                        found.setdefault(row[key], row)
                        wanted.discard(row[key])
        return found


def _evenly_spread(table: Manifest, rows: int | None) -> set[int]:
    """Parts of a table, at least one, that are evenly spread and hold about `rows` rows."""
    parts = sorted({file.part for file in table.files})
    if rows is None or table.rows <= rows:
        return set(parts)
    number = max(1, len(parts) * rows // table.rows)
    return {parts[place * len(parts) // number] for place in range(number)}


def _matches(
    file: pq.ParquetFile, key: str, wanted: set[str], columns: list[str] | None
) -> Iterator[pa.Table]:
    """Matching rows of each row group; the caller may remove found keys from `wanted` meanwhile."""
    column = file.schema_arrow.names.index(key)
    for group in range(file.num_row_groups):
        statistics = file.metadata.row_group(group).column(column).statistics
        if statistics is not None and statistics.has_min_max:
            low, high = statistics.min, statistics.max
            if not any(low <= value <= high for value in wanted):
                continue
        keys = file.read_row_group(group, [key])[key]
        matches = pc.is_in(keys, value_set=pa.array(sorted(wanted), keys.type))
        if pc.any(matches).as_py():
            yield file.read_row_group(group, columns).filter(matches)
