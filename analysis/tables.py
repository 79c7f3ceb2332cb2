"""A finished run as tables: manifests, aligned parts, rows by id. Reads, never writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benben.pipeline import manifest, storage
from benben.pipeline.errors import InputError
from benben.pipeline.manifest import Manifest

ALIGNED = {"documents", "signals", "verdicts", "final_verdicts"}  # a part has the same documents


class RunTables:
    """The committed tables below a run's folder."""

    def __init__(
        self,
        output: str,
        staged: tuple[str, Manifest] | None = None,
        documents: int | None = None,
    ) -> None:
        """`staged`: folder and manifest of a dataset that is to replace the committed one.

        `documents`: of a larger run only whole parts, evenly spread, that hold about so many are
        seen; the dataset, the images and what deduplication dropped are seen whole. Raises
        InputError when the folder holds no documents.
        """
        self.output, self._staged = output, staged
        found = self.find("documents")
        if found is None:
            raise InputError(f"{output}: no run here (no documents/{manifest.NAME}); run it first")
        self.documents = found.rows
        self._parts = _spread(found, documents)
        self.seen = sum(file.rows for file in found.files if file.part in self._parts)

    def folder(self, table: str) -> str:
        """Folder of a table."""
        if self._staged and table == "dataset":
            return self._staged[0]
        return storage.join(self.output, table)

    def find(self, table: str) -> Manifest | None:
        """A table's manifest, or None when the run did not get that far."""
        if self._staged and table == "dataset":
            return self._staged[1]
        return manifest.read(self.folder(table))

    def paths(self, table: str) -> dict[int, list[str]]:
        """Part number -> files of a table; empty when there is no such table.

        The dataset holds two kinds of rows: `dataset/data`, of which `dataset/data/SPLIT` is a
        part, and `dataset/images`.
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
        """Name of the table of last verdicts that exists."""
        return "final_verdicts" if self.find("final_verdicts") else "verdicts"

    def aligned(self, *tables: str) -> Iterator[list[str]]:
        """One file of each table a part, for parts that all of them have."""
        paths = [self.paths(table) for table in tables]
        for part in sorted(set.intersection(*(set(found) for found in paths))):
            yield [found[part][0] for found in paths]

    def batches(self, table: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All rows of a table, batch by batch, in part order."""
        for _, files in sorted(self.paths(table).items()):
            for path in files:
                yield from storage.iter_parquet(path, columns)

    def duplicates(self, ids: Sequence[str]) -> dict[str, dict[str, object]]:
        """Rows of documents that deduplication dropped, before or after images were fetched."""
        return {
            name: row
            for table in ("duplicates", "picture_duplicates")
            for name, row in self.lookup(table, "doc_id", ids).items()
            if row["reason"]
        }

    def lookup(
        self, table: str, key: str, values: Sequence[str], columns: list[str] | None = None
    ) -> dict[str, dict[str, object]]:
        """Rows whose `key` is one of the values, by key.

        Scans the key's column alone, and reads the other columns of row groups with a hit.
        """
        found: dict[str, dict[str, object]] = {}
        wanted = set(values)
        for path in [path for _, files in sorted(self.paths(table).items()) for path in files]:
            if not wanted:
                break
            with storage.open_input(path) as stream:
                for rows in _hits(pq.ParquetFile(stream), key, wanted, columns):
                    for row in rows.to_pylist():
                        found.setdefault(row[key], row)
                        wanted.discard(row[key])
        return found


def _spread(table: Manifest, rows: int | None) -> set[int]:
    """Parts of a table that hold about so many rows, at least one."""
    parts = sorted({file.part for file in table.files})
    if rows is None or table.rows <= rows:
        return set(parts)
    number = max(1, len(parts) * rows // table.rows)
    return {parts[place * len(parts) // number] for place in range(number)}


def _hits(
    file: pq.ParquetFile, key: str, wanted: set[str], columns: list[str] | None
) -> Iterator[pa.Table]:
    """Rows of each row group whose key is wanted; `wanted` may shrink on the way."""
    place = file.schema_arrow.names.index(key)
    for group in range(file.num_row_groups):
        statistics = file.metadata.row_group(group).column(place).statistics
        if statistics is not None and statistics.has_min_max:
            low, high = statistics.min, statistics.max
            if not any(low <= value <= high for value in wanted):
                continue
        keys = file.read_row_group(group, [key])[key]
        hits = pc.is_in(keys, value_set=pa.array(sorted(wanted), keys.type))
        if pc.any(hits).as_py():
            yield file.read_row_group(group, columns).filter(hits)
