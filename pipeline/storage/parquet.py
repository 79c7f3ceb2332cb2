"""Reads and writes parquet files in any store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benben.pipeline.storage.files import new_file, open_input


class ParquetWriter:
    """Writes batches to one parquet file that appears whole on close, or not at all on an error."""

    def __init__(self, url: str, schema: pa.Schema, row_group_rows: int = 10_000) -> None:
        self.url, self.schema = url, schema
        self.rows = self.bytes = 0
        self._row_group_rows = row_group_rows

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows whose columns are those of the schema."""
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        self._writer.write_table(table, row_group_size=self._row_group_rows)
        self.rows += batch.num_rows

    def __enter__(self) -> ParquetWriter:
        with contextlib.ExitStack() as stack:
            self._stream = stack.enter_context(new_file(self.url))
            self._writer = pq.ParquetWriter(self._stream, self.schema, compression="zstd")
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def _finish(self, error: type[BaseException] | None, *_: object) -> None:
        with contextlib.suppress(Exception) if error else contextlib.nullcontext():
            self._writer.close()
            self.bytes = self._stream.tell()


def read_parquet(url: str, columns: list[str] | None = None) -> pa.Table:
    """Read one parquet file."""
    with open_input(url) as stream:
        return pq.read_table(stream, columns=columns)


def footer(url: str) -> pq.FileMetaData:
    """Read a parquet file's metadata: rows, row groups, columns."""
    with open_input(url) as stream:
        return pq.read_metadata(stream)


def iter_parquet(
    url: str, columns: list[str] | None = None, batch_rows: int = 1_000
) -> Iterable[pa.RecordBatch]:
    """Read one parquet file batch by batch, in row order."""
    with open_input(url) as stream:
        yield from pq.ParquetFile(stream).iter_batches(batch_size=batch_rows, columns=columns)


def iter_aligned(
    urls: list[str], columns: list[list[str] | None], batch_rows: int = 1_000
) -> Iterable[tuple[pa.RecordBatch, ...]]:
    """Read files with matching rows together, in batches of as many rows from each.

    Raises ValueError when the files differ in their number of rows.
    """
    files = [pq.ParquetFile(open_input(url)) for url in urls]
    if len({file.metadata.num_rows for file in files}) > 1:
        raise ValueError(f"parts are not aligned: {urls} differ in their number of rows")
    readers = [
        even_batches(file.iter_batches(batch_size=batch_rows, columns=names), batch_rows)
        for file, names in zip(files, columns, strict=True)
    ]
    yield from zip(*readers, strict=True)


def even_batches(batches: Iterable[pa.RecordBatch], batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Regroup batches into ones of exactly `batch_rows` rows; only the last may be shorter."""
    pending: list[pa.RecordBatch] = []
    waiting = 0
    for batch in batches:
        pending.append(batch)
        waiting += batch.num_rows
        while waiting >= batch_rows:
            whole = pa.concat_batches(pending)
            yield whole.slice(0, batch_rows)
            pending, waiting = [whole.slice(batch_rows)], waiting - batch_rows
    if waiting:
        yield pa.concat_batches(pending)
