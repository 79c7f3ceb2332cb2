"""Reads, writes, lists and deletes files in any store, by path or URL; parquet files among them."""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import fsspec
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.fsspec import FsspecStore

from benben.pipeline.storage.stores import (
    LOCAL,
    as_os_errors,
    bucket_of,
    is_object_store,
    local_path,
    open_random,
    open_stream,
    resolve,
)

GZIP = b"\x1f\x8b"  # its first bytes
UNFINISHED = ".tmp"  # ending of a file that is being written
UPLOAD_BYTES = 16 << 20  # of one part of an upload; S3 takes 10,000 parts of a file
UPLOAD_PARTS = 4  # at once
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


def join(base: str, *names: str) -> str:
    """Append names to a path or URL."""
    return "/".join([base.rstrip("/"), *names])


def under(base: str | None, path: str) -> str:
    """Return a path below `base`, or `path` itself if it is absolute, a URL or has no base."""
    return path if not base or "://" in path or path.startswith("/") else join(base, path)


def exists(url: str) -> bool:
    """Tell whether a file or folder exists."""
    return _kind(url) is not None


def is_folder(url: str) -> bool:
    """Tell whether the path is a folder (on object stores: a prefix)."""
    return _kind(url) == "directory"


def size(url: str) -> int:
    """Return the size of a file in bytes. Raises FileNotFoundError."""
    info = _info(url)
    if info is None or info["type"] != "file":
        raise FileNotFoundError(url)
    return int(info["size"])


def _kind(url: str) -> str | None:
    info = _info(url)
    return None if info is None else str(info["type"])


def _info(url: str) -> dict[str, Any] | None:
    filesystem, path = resolve(url)
    if isinstance(filesystem, FsspecStore) and "/" not in path.rstrip("/"):
        return {"name": path, "type": "directory", "size": 0}  # a bucket, for obstore a file
    try:
        with as_os_errors(url):
            return dict(filesystem.info(path))
    except FileNotFoundError:
        return None


def list_files(folder: str, recursive: bool = True) -> list[str]:
    """List the files in a folder, sorted, as paths or URLs that begin with `folder`."""
    return _listed(folder, "file", recursive)


def list_folders(folder: str) -> list[str]:
    """List the folders directly in a folder, sorted, in the form of `folder`."""
    return _listed(folder, "directory", recursive=False)


def _listed(folder: str, kind: str, recursive: bool) -> list[str]:
    filesystem, path = resolve(folder)
    try:
        with as_os_errors(folder):
            found = list(_walk(filesystem, path, recursive))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return _named(folder, (info["name"] for info in found if info["type"] == kind))


def _walk(
    filesystem: fsspec.AbstractFileSystem, path: str, recursive: bool
) -> Iterator[dict[str, Any]]:
    """Yield what a folder holds. fsspec's own `find` takes a refused listing for an empty one."""
    for info in filesystem.ls(path, detail=True):
        if info["name"].strip("/") == path.strip("/"):  # an empty object that marks the folder
            continue
        yield info
        if recursive and info["type"] == "directory":
            yield from _walk(filesystem, info["name"], recursive)


def _named(folder: str, found: Iterable[str]) -> list[str]:
    """Return a filesystem's paths, with or without a first slash, in the form of `folder`."""
    root = resolve(folder)[1].strip("/")
    names = (path.strip("/").removeprefix(root).strip("/") for path in found)
    return sorted(join(folder, name) for name in names if name)


def open_input(url: str) -> Any:
    """Open a file for random reads: `.read(n)`, `.seek(pos)`, `.read_at(n, pos)`, `.size()`."""
    return open_random(*resolve(url))


def read_bytes(url: str) -> bytes:
    """Read a whole small file."""
    with open_input(url) as stream:
        return bytes(stream.read())


def read_plain(url: str) -> bytes:
    """Read a whole small file, decompressed if its name or its first bytes say that it is gzip."""
    data = read_bytes(url)
    return gzip.decompress(data) if url.endswith(".gz") or data.startswith(GZIP) else data


def write_bytes(url: str, data: bytes) -> None:
    """Write a file so that readers see the old one or the whole new one, never a part."""
    with new_file(url) as stream:
        stream.write(data)


def create(url: str, data: bytes) -> bool:
    """Write a file unless it exists, and tell whether it was written.

    On S3 and a local disk only one of several that try at once succeeds.
    """
    filesystem, path = resolve(url)
    if exists(url):
        return False
    if isinstance(filesystem, FsspecStore):
        store, key = bucket_of(path)
        try:
            with as_os_errors(url):
                obstore.put(store, key, data, mode="create")
        except FileExistsError:
            return False
        return True
    if filesystem is LOCAL:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with naming(url), open(path, "xb") as file:
                file.write(data)
        except FileExistsError:
            return False
        return True
    write_bytes(url, data)
    return True


@contextmanager
def new_file(url: str) -> Iterator[BinaryIO]:
    """Open a file for writing that appears whole at the end, or not at all on an error.

    A local file is renamed into place. For a store the bytes wait in a temporary file and are
    uploaded at the end, since closing a half-written upload would publish it.
    """
    filesystem, path = resolve(url)
    if filesystem is LOCAL:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        waiting = f"{path}.{uuid.uuid4().hex[:8]}{UNFINISHED}"
        try:
            with naming(url), open(waiting, "wb") as local:
                yield local
            os.replace(waiting, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(waiting)
            raise
        return
    with tempfile.TemporaryFile() as spool:
        yield spool
        spool.seek(0)
        with as_os_errors(url):
            _upload(spool, filesystem, path)


def _upload(source: BinaryIO, filesystem: fsspec.AbstractFileSystem, path: str) -> None:
    """Copy an open file to a store so that it appears whole or not at all."""
    if isinstance(filesystem, FsspecStore):
        store, key = bucket_of(path)
        obstore.put(store, key, source, chunk_size=UPLOAD_BYTES, max_concurrency=UPLOAD_PARTS)
        return
    # HDFS and others show files while they grow; an object appears when its upload is complete
    whole = is_object_store(filesystem)
    target = path if whole else f"{path}.{uuid.uuid4().hex[:8]}{UNFINISHED}"
    if not whole:
        filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
    try:
        with open_stream(filesystem, target) as stream:
            shutil.copyfileobj(source, stream, UPLOAD_BYTES)
    except OSError:  # from the store: a failed upload is not published when it is closed
        raise
    except BaseException:  # stopped in the middle: closing published what had been uploaded
        with contextlib.suppress(OSError):
            filesystem.rm_file(target)
        raise
    if not whole:
        filesystem.mv(target, path)


def open_output(url: str) -> Output:
    """Open a new file for writing; what is written to a local file is visible at once."""
    filesystem, path = resolve(url)
    if filesystem is LOCAL:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    return Output(url, open_stream(filesystem, path))


class Output:
    """A file that is being written; its errors name it."""

    def __init__(self, url: str, stream: Any) -> None:
        self._url, self._stream = url, stream

    def write(self, data: bytes) -> None:
        """Append bytes. Raises OSError."""
        with naming(self._url):
            self._stream.write(data)

    def close(self) -> None:
        """Close the file. Raises OSError."""
        with naming(self._url):
            self._stream.close()


@contextmanager
def naming(url: str) -> Iterator[None]:
    """Add the file to errors that do not name one, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), url) from error


def delete_file(url: str) -> None:
    """Delete a file. Raises FileNotFoundError where the store tells that it is missing."""
    filesystem, path = resolve(url)
    with as_os_errors(url):
        filesystem.rm_file(path)


def delete_folder(url: str) -> None:
    """Delete a folder and all it holds; does nothing when it does not exist."""
    filesystem, path = resolve(url)
    if is_object_store(filesystem):  # whose folders are only the beginnings of names
        files = [resolve(file)[1] for file in list_files(url)]
        with as_os_errors(url):
            _delete_objects(filesystem, files)
    elif exists(url):
        filesystem.rm(path, recursive=True)


def _delete_objects(filesystem: fsspec.AbstractFileSystem, paths: list[str]) -> None:
    if isinstance(filesystem, FsspecStore):
        if paths:
            filesystem.rm(paths)  # many at once
        return
    for path in paths:
        filesystem.rm_file(path)


class ParquetWriter:
    """Writes batches to one parquet file that appears whole on close, or not at all on an error."""

    def __init__(
        self,
        url: str,
        schema: pa.Schema,
        row_group_rows: int = 10_000,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """`options`: of pyarrow's ParquetWriter; by default all columns are compressed."""
        self.url, self.schema = url, schema
        self.options = {"compression": "zstd"} if options is None else options
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
            self._writer = pq.ParquetWriter(self._stream, self.schema, **self.options)
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


def iter_row_groups(url: str) -> Iterator[pa.RecordBatch]:
    """Read one parquet file, each of its row groups as one batch, in row order."""
    with open_input(url) as stream:
        file = pq.ParquetFile(stream)
        for number in range(file.num_row_groups):
            batches = file.read_row_group(number).to_batches()
            if batches:
                yield pa.concat_batches(batches)


def parquet_schema(url: str) -> pa.Schema:
    """Read a parquet file's schema with its metadata."""
    with open_input(url) as stream:
        return pq.read_schema(stream)


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


def swap(one: str, other: str) -> None:
    """Swap the names of two local folders: in one step where the system can, else in three.

    In three steps there is a moment without `other`; a kill in it leaves `other` as `other.old`.
    """
    one, other = (resolve(folder)[1] for folder in (one, other))
    if not _swapped_at_once(one, other):
        os.rename(other, f"{other}.old")
        os.rename(one, other)
        os.rename(f"{other}.old", one)


def restore(folder: str) -> None:
    """Give a local folder its name back after a kill in the second of the three steps."""
    path = local_path(folder)
    if path is not None and not os.path.exists(path) and os.path.exists(f"{path}.old"):
        os.rename(f"{path}.old", path)


def _swapped_at_once(one: str, other: str) -> bool:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    return bool(call(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0)
