"""The only access to files and object stores: local paths, file:, s3:, s3a:, gs:, hdfs: URLs."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from benben.pipeline.filesystem import is_local
from benben.pipeline.filesystem import resolve as resolve  # for readers that want a path

UNFINISHED = ".tmp"  # ending of a local file that is being written
UPLOAD_BYTES = 16 << 20  # read at once while a finished file goes up


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
    infos = filesystem.get_file_info(selector)
    found = [info.path for info in infos if info.is_file]
    return sorted(join(folder, name[len(path.rstrip("/")) + 1 :]) for name in found)


def list_folders(folder: str) -> list[str]:
    """Folders right under a folder, sorted, in the form `folder` has."""
    filesystem, path = resolve(folder)
    selector = fs.FileSelector(path, allow_not_found=True)
    found = filesystem.get_file_info(selector)
    folders = (info.base_name for info in found if info.type == fs.FileType.Directory)
    return sorted(join(folder, name) for name in folders)


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
    with new_file(url) as stream:
        stream.write(data)


@contextmanager
def new_file(url: str) -> Iterator[BinaryIO]:
    """Open a file for writing that appears whole at the end, or not at all on an error.

    A local file is renamed into place. For a store the bytes wait in a temporary file and go up
    once all is well: closing a half-written upload would publish it, and pyarrow can't abort one.
    """
    filesystem, path = resolve(url)
    if is_local(filesystem):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        waiting = f"{path}.{uuid.uuid4().hex[:8]}{UNFINISHED}"
        try:
            with open(waiting, "wb") as local:
                yield local
            os.replace(waiting, path)
        except BaseException:
            _remove(waiting)
            raise
        return
    with tempfile.TemporaryFile() as spool:
        yield spool
        spool.seek(0)
        _upload(spool, filesystem, path)


def _upload(source: BinaryIO, filesystem: fs.FileSystem, path: str) -> None:
    """Copy an open file to a store; HDFS, which shows files while they grow, gets a rename."""
    renames = filesystem.type_name == "hdfs"
    target = f"{path}.{uuid.uuid4().hex[:8]}{UNFINISHED}" if renames else path
    try:
        with filesystem.open_output_stream(target, compression=None) as stream:  # not by its name
            shutil.copyfileobj(source, stream, UPLOAD_BYTES)
    except OSError:  # the store's: a failed upload is not published when it is closed
        raise
    except BaseException:  # a stop in mid-air: closing published what had gone up
        with contextlib.suppress(OSError):
            filesystem.delete_file(target)
        raise
    if renames:
        filesystem.move(target, path)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def open_output(url: str) -> Any:
    """Open a new file for `.write(data)`; local files show what was written at once."""
    filesystem, path = resolve(url)
    if is_local(filesystem):
        filesystem.create_dir(os.path.dirname(path), recursive=True)
    return filesystem.open_output_stream(path, compression=None)  # whatever its name ends in


class ParquetWriter:
    """Write batches to one parquet file that appears whole on close, or not at all on an error."""

    def __init__(self, url: str, schema: pa.Schema, row_group_rows: int = 10_000) -> None:
        self.url, self.schema = url, schema
        self.rows = self.bytes = 0
        self._row_group_rows = row_group_rows

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows; the columns must be the schema's."""
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
    """What a parquet file says of itself: rows, row groups, columns."""
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
    """Read files whose rows stand side by side, in steps of equal rows.

    Raises ValueError when the files' rows differ in number.
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
    """Cut batches of any sizes anew: exactly `batch_rows` rows each but for the last."""
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


def delete_file(url: str) -> None:
    """Remove a file. Raises FileNotFoundError."""
    filesystem, path = resolve(url)
    filesystem.delete_file(path)


def delete_folder(url: str) -> None:
    """Remove a folder and all in it; nothing happens when it is absent."""
    filesystem, path = resolve(url)
    if not exists(url):
        return
    if filesystem.type_name == "gcs":  # whose folders are names only; its delete_dir wants a marker
        for file in list_files(url):
            delete_file(file)
    else:
        filesystem.delete_dir(path)
