"""Asking a store again where pyarrow gives up at the first answer."""

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


def open_patiently(filesystem: fs.FileSystem, path: str) -> Any:
    """Open a store's file for random reads, as `filesystem.open_input_file` does."""
    return pa.PythonFile(_File(filesystem, path), mode="r")


class _File:
    """What pyarrow asks of a Python file."""

    def __init__(self, filesystem: fs.FileSystem, path: str) -> None:
        self._file = again(lambda: filesystem.open_input_file(path))
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
