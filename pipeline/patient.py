"""S3 asked again where pyarrow gives up at the first answer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.fs as fs

Result = TypeVar("Result")
ATTEMPTS = 8
FIRST_WAIT = 0.1  # seconds, doubled each time
# What the AWS library does not try again although it should: a refusal longer than the bytes that
# were asked for, which it calls a failure of its own, and one without a text, as those to HEAD are.
GIVEN_UP = ("INTERNAL_FAILURE", "UNKNOWN (HTTP status 429)", "UNKNOWN (HTTP status 50")


def again(work: Callable[[], Result]) -> Result:
    """Do something until it works. Raises OSError after the last attempt or when none helps."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return work()
        except OSError as error:
            if not any(words in str(error) for words in GIVEN_UP):
                raise
            time.sleep(FIRST_WAIT * 2**attempt * random.uniform(0.5, 1))
    return work()


def patient(store: fs.FileSystem) -> fs.FileSystem:
    """The same store, asked again by everybody who uses it: readers, writers, DuckDB's scans."""
    return fs.PyFileSystem(_Store(store))


class _Store(fs.FileSystemHandler):  # type: ignore[misc]
    """What pyarrow asks of a filesystem. Writing is tried again by the AWS library itself."""

    def __init__(self, store: fs.FileSystem) -> None:
        self._store = store

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Store) and bool(self._store == other._store)

    def get_type_name(self) -> str:
        return str(self._store.type_name)

    def normalize_path(self, path: str) -> str:
        return str(self._store.normalize_path(path))

    def get_file_info(self, paths: list[str]) -> Any:
        return again(lambda: self._store.get_file_info(paths))

    def get_file_info_selector(self, selector: fs.FileSelector) -> Any:
        return again(lambda: self._store.get_file_info(selector))

    def create_dir(self, path: str, recursive: bool) -> None:
        again(lambda: self._store.create_dir(path, recursive=recursive))

    def delete_dir(self, path: str) -> None:
        again(lambda: self._store.delete_dir(path))

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        again(lambda: self._store.delete_dir_contents(path, missing_dir_ok=missing_dir_ok))

    def delete_root_dir_contents(self) -> None:
        again(lambda: self._store.delete_dir_contents("/", accept_root_dir=True))

    def delete_file(self, path: str) -> None:
        again(lambda: self._store.delete_file(path))

    def move(self, source: str, target: str) -> None:
        again(lambda: self._store.move(source, target))

    def copy_file(self, source: str, target: str) -> None:
        again(lambda: self._store.copy_file(source, target))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(_File(self._store, path), mode="r")

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        return self._store.open_output_stream(path, compression=None, metadata=metadata)

    def open_append_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        return self._store.open_append_stream(path, compression=None, metadata=metadata)


class _File:
    """What pyarrow asks of a Python file."""

    def __init__(self, store: fs.FileSystem, path: str) -> None:
        self._file = again(lambda: store.open_input_file(path))
        self._size = again(self._file.size)
        self._position = 0

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)

    def close(self) -> None:
        self._file.close()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._position, self._size)[whence]
        self._position = start + offset
        return self._position

    def read(self, count: int | None = None) -> bytes:
        left = max(0, self._size - self._position)
        wanted = left if count is None or count < 0 else min(count, left)
        place = self._position
        data = again(lambda: self._file.read_at(wanted, place)) if wanted else b""
        self._position += len(data)
        return bytes(data)
