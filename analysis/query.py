"""SQL over a run's tables: DuckDB scans the files where they lie, so they may exceed memory."""

from __future__ import annotations

import tempfile
from typing import Any

import duckdb
import pyarrow.dataset as ds
from pyarrow import fs

from analysis.tables import RunTables
from pipeline import storage

MEMORY = "2GB"  # of one connection; larger joins and sorts go to temporary files
# View name -> table of the run.
VIEWS = {
    "documents": "documents",
    "signals": "signals",
    "verdicts": "verdicts",
    "final_verdicts": "final_verdicts",
    "duplicates": "duplicates",
    "images": "images",
    "data": "dataset/data",
    "bytes": "dataset/images",
}


class Query:
    """A connection with one view a table that the run has."""

    def __init__(self, tables: RunTables) -> None:
        spill = tempfile.gettempdir()
        self.connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": spill})
        self.views: set[str] = set()
        for view, table in VIEWS.items():
            paths = [path for _, files in sorted(tables.paths(table).items()) for path in files]
            if paths:
                self._add(view, paths)

    def _add(self, view: str, paths: list[str]) -> None:
        """DuckDB reads local files itself, in less memory; Arrow opens object stores for it."""
        filesystem, _ = storage.resolve(paths[0])
        names = [storage.resolve(path)[1] for path in paths]
        if isinstance(filesystem, fs.LocalFileSystem):
            self.connection.read_parquet(names).create_view(view)
        else:
            scan = ds.dataset(names, format="parquet", filesystem=filesystem)
            self.connection.register(view, scan)
        self.views.add(view)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a statement; values go in place of its question marks."""
        return self.connection.execute(sql, list(values)).fetchall()

    def value(self, sql: str, *values: Any) -> Any:
        """The first value of the first row."""
        return self.rows(sql, *values)[0][0]
