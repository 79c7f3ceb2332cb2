"""The only access to files and object stores: local paths, file:, s3:, s3a:, gs:, hdfs: URLs."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs


@lru_cache(maxsize=32)
def _s3(endpoint: str | None) -> fs.FileSystem:
    if endpoint is None:
        return fs.S3FileSystem()
    parts = urlsplit(endpoint)
    return fs.S3FileSystem(endpoint_override=parts.netloc, scheme=parts.scheme)


def resolve(url: str) -> tuple[fs.FileSystem, str]:
    """Split a path or URL into its filesystem and the path inside it.

    S3's endpoint comes from AWS_ENDPOINT_URL, credentials from the usual AWS variables.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme in ("s3", "s3a", "s3n"):
        return _s3(os.environ.get("AWS_ENDPOINT_URL")), url.split("://", 1)[1]
    if scheme in ("gs", "hdfs"):
        return fs.FileSystem.from_uri(url)  # type: ignore[no-any-return]
    path = url[len("file://") :] if scheme == "file" else url
    return fs.LocalFileSystem(), os.path.abspath(path)


def join(base: str, *names: str) -> str:
    """Append names to a path or URL."""
    return "/".join([base.rstrip("/"), *names])


def under(base: str | None, path: str) -> str:
    """A path below `base`, unless it is a URL or absolute or there is no base."""
    return path if not base or "://" in path or path.startswith("/") else join(base, path)


def exists(url: str) -> bool:
    """Tell whether a file or folder is there."""
    filesystem, path = resolve(url)
    return bool(filesystem.get_file_info(path).type != fs.FileType.NotFound)


def is_folder(url: str) -> bool:
    """Tell whether the path is a folder (on object stores: a prefix)."""
    filesystem, path = resolve(url)
    return bool(filesystem.get_file_info(path).type == fs.FileType.Directory)


def size(url: str) -> int:
    """Size of a file in bytes. Raises FileNotFoundError."""
    filesystem, path = resolve(url)
    info = filesystem.get_file_info(path)
    if info.type != fs.FileType.File:
        raise FileNotFoundError(url)
    return int(info.size)


def list_files(folder: str, recursive: bool = True) -> list[str]:
    """Paths of the files under a folder, sorted, in the form `folder` has."""
    filesystem, path = resolve(folder)
    selector = fs.FileSelector(path, recursive=recursive, allow_not_found=True)
    found = [info.path for info in filesystem.get_file_info(selector) if info.is_file]
    return sorted(join(folder, name[len(path.rstrip("/")) + 1 :]) for name in found)


def open_input(url: str) -> Any:
    """Open a file for random reads: `.read(n)`, `.seek(pos)`, `.size()`."""
    filesystem, path = resolve(url)
    return filesystem.open_input_file(path)


def read_bytes(url: str) -> bytes:
    """Read a whole small file."""
    with open_input(url) as stream:
        return bytes(stream.read())


def write_bytes(url: str, data: bytes) -> None:
    """Write a file so that readers see the old one or the whole new one, never a part."""
    filesystem, path = resolve(url)
    local = isinstance(filesystem, fs.LocalFileSystem)
    target = f"{path}.{uuid.uuid4().hex[:8]}.tmp" if local else path
    if local:
        filesystem.create_dir(os.path.dirname(path), recursive=True)
    with filesystem.open_output_stream(target) as stream:
        stream.write(data)
    if local:
        os.replace(target, path)


def open_output(url: str) -> Any:
    """Open a new file for `.write(data)`; local files show what was written at once."""
    filesystem, path = resolve(url)
    if isinstance(filesystem, fs.LocalFileSystem):
        filesystem.create_dir(os.path.dirname(path), recursive=True)
    return filesystem.open_output_stream(path)


class ParquetWriter:
    """Write batches to one parquet file that appears whole on close, or not at all on an error.

    Object stores show a file only once its upload is complete; local files are renamed in place.
    """

    def __init__(self, url: str, schema: pa.Schema, row_group_rows: int = 10_000) -> None:
        self.url, self.schema = url, schema
        self.rows = self.bytes = 0
        self._filesystem, self._path = resolve(url)
        self._local = isinstance(self._filesystem, fs.LocalFileSystem)
        self._target = f"{self._path}.{uuid.uuid4().hex[:8]}.tmp" if self._local else self._path
        if self._local:
            self._filesystem.create_dir(os.path.dirname(self._path), recursive=True)
        self._stream = self._filesystem.open_output_stream(self._target)
        self._writer = pq.ParquetWriter(self._stream, schema, compression="zstd")
        self._row_group_rows = row_group_rows

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows; the columns must be the schema's."""
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        self._writer.write_table(table, row_group_size=self._row_group_rows)
        self.rows += batch.num_rows

    def __enter__(self) -> ParquetWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            self._abandon()
            return
        self._writer.close()
        self.bytes = int(self._stream.tell())
        self._stream.close()
        if self._local:
            os.replace(self._target, self._path)

    def _abandon(self) -> None:
        self._writer.close()
        self._stream.close()
        if self._local:
            os.unlink(self._target)


def read_parquet(url: str, columns: list[str] | None = None) -> pa.Table:
    """Read one parquet file."""
    filesystem, path = resolve(url)
    return pq.read_table(path, columns=columns, filesystem=filesystem, partitioning=None)


def parquet_columns(url: str) -> list[str]:
    """Names of the columns of one parquet file."""
    with open_input(url) as stream:
        return list(pq.read_schema(stream).names)


def iter_parquet(
    url: str, columns: list[str] | None = None, batch_rows: int = 1_000
) -> Iterable[pa.RecordBatch]:
    """Read one parquet file batch by batch, in row order."""
    with open_input(url) as stream:
        yield from pq.ParquetFile(stream).iter_batches(batch_size=batch_rows, columns=columns)


def iter_aligned(
    urls: list[str], columns: list[list[str] | None], batch_rows: int = 1_000
) -> Iterable[tuple[pa.RecordBatch, ...]]:
    """Read files whose rows stand side by side, in steps of equal rows.

    Raises ValueError when the files' rows differ in number.
    """
    files = [pq.ParquetFile(open_input(url)) for url in urls]
    if len({file.metadata.num_rows for file in files}) > 1:
        raise ValueError(f"parts are not aligned: {urls} differ in their number of rows")
    readers = [
        _even_batches(file, names, batch_rows) for file, names in zip(files, columns, strict=True)
    ]
    yield from zip(*readers, strict=True)


def _even_batches(
    file: pq.ParquetFile, columns: list[str] | None, batch_rows: int
) -> Iterable[pa.RecordBatch]:
    """Batches of exactly `batch_rows` rows but for the last, whatever the row groups."""
    pending: list[pa.RecordBatch] = []
    waiting = 0
    for batch in file.iter_batches(batch_size=batch_rows, columns=columns):
        pending.append(batch)
        waiting += batch.num_rows
        while waiting >= batch_rows:
            whole = pa.concat_batches(pending)
            yield whole.slice(0, batch_rows)
            pending, waiting = [whole.slice(batch_rows)], waiting - batch_rows
    if waiting:
        yield pa.concat_batches(pending)


def delete_folder(url: str) -> None:
    """Remove a folder and all in it; nothing happens when it is absent."""
    filesystem, path = resolve(url)
    if exists(url):
        filesystem.delete_dir(path)
