"""A finished run as tables: manifests, aligned parts, rows by id. Reads, never writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import manifest, storage
from pipeline.errors import InputError
from pipeline.manifest import Manifest


class RunTables:
    """The committed tables below a run's folder."""

    def __init__(self, output: str) -> None:
        """Raises InputError when the folder holds no documents."""
        self.output = output
        if self.find("documents") is None:
            raise InputError(f"{output}: no run here (no documents/{manifest.NAME}); run it first")

    def folder(self, table: str) -> str:
        """Folder of a table."""
        return storage.join(self.output, table)

    def find(self, table: str) -> Manifest | None:
        """A table's manifest, or None when the run did not get that far."""
        return manifest.read(self.folder(table))

    def paths(self, table: str) -> dict[int, list[str]]:
        """Part number -> files of a table; empty when there is no such table.

        The dataset holds two kinds of rows: `dataset/data` and `dataset/images`.
        """
        name, _, kind = table.partition("/")
        found = self.find(name)
        paths: dict[int, list[str]] = {}
        for file in found.files if found else []:
            if file.name.startswith(f"{kind}/") or not kind:
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

    def lookup(
        self, table: str, key: str, values: Sequence[str], columns: list[str] | None = None
    ) -> dict[str, dict[str, object]]:
        """Rows whose `key` is one of the values, by key; skips row groups that have none."""
        found: dict[str, dict[str, object]] = {}
        wanted = set(values)
        for _, files in sorted(self.paths(table).items()):
            for path in files:
                if not wanted:
                    return found
                filesystem, name = storage.resolve(path)
                rows = pq.read_table(
                    name,
                    columns=columns,
                    filesystem=filesystem,
                    partitioning=None,
                    filters=[(key, "in", sorted(wanted))],
                )
                for row in rows.to_pylist():
                    found.setdefault(row[key], row)
                    wanted.discard(row[key])
        return found
