"""SQL over a run's tables. DuckDB scans the files in place, so they may be larger than memory."""

from __future__ import annotations

import tempfile
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from benben.analysis.tables import RunTables
from benben.filters.signal_table import SIGNALS
from benben.pipeline import schema, storage
from benben.pipeline.dataset import splits

MEMORY_LIMIT = "2GB"  # of one connection; larger joins and sorts spill to temporary files
# View -> (table of the run, its columns). The columns make an empty view when a run has no such
# table or no row of it.
VIEWS: dict[str, tuple[str, pa.Schema]] = {
    "documents": ("documents", schema.DOCUMENTS),
    "signals": ("signals", SIGNALS),
    "verdicts": ("verdicts", schema.VERDICTS),
    "final_verdicts": ("final_verdicts", schema.VERDICTS),
    "duplicates": ("duplicates", schema.DUPLICATES),
    "images": ("images", schema.IMAGES),
    "consent": ("consent", schema.CONSENT),
    "data": ("dataset/data", schema.DATASET),
    **{name: (f"dataset/data/{name}", schema.DATASET) for name in splits.NAMES},
    "bytes": ("dataset/images", schema.IMAGE_BYTES),
}


class Query:
    """A DuckDB connection with a view for each table of a run."""

    def __init__(self, tables: RunTables) -> None:
        spill = tempfile.gettempdir()
        self.connection = duckdb.connect(
            config={"memory_limit": MEMORY_LIMIT, "temp_directory": spill}
        )
        for view, (table, columns) in VIEWS.items():
            paths = [path for _, files in sorted(tables.paths(table).items()) for path in files]
            self._add(view, paths, columns)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a statement; `values` replace its question marks."""
        return self.connection.execute(sql, list(values)).fetchall()

    def value(self, sql: str, *values: Any) -> Any:
        """The first value of the first row."""
        return self.rows(sql, *values)[0][0]

    def _add(self, view: str, paths: list[str], columns: pa.Schema) -> None:
        """Create a view.

        DuckDB reads local files itself, which takes less memory; Arrow opens object stores for it.
        """
        if not paths:
            self.connection.register(view, columns.empty_table())
            return
        filesystem, _ = storage.arrow_filesystem(paths[0])
        names = [storage.arrow_filesystem(path)[1] for path in paths]
        if isinstance(filesystem, fs.LocalFileSystem):
            self.connection.read_parquet(names).create_view(view)
        else:
            scan = ds.dataset(names, format="parquet", filesystem=filesystem)
            self.connection.register(view, scan)
