"""What surrounds a task in a Python worker: its end when it hangs, a clean desk for the next."""

from __future__ import annotations

import faulthandler
import gc
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar
from zipimport import zipimporter

Row = TypeVar("Row")


@contextmanager
def task(seconds: float) -> Iterator[Callable[[], float]]:
    """End this worker, even inside C code, unless the block is done in time; gives a clock.

    The stack of every thread goes to the worker's stderr; Spark, which itself would wait for good,
    then runs the task again. The clock tells processor seconds since the start.
    """
    started = time.process_time()
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield lambda: time.process_time() - started
    finally:
        faulthandler.cancel_dump_traceback_later()
    _settle(len(sys.modules))


def passed(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows: the task of a worker that has nothing to do but hand them on."""
    yield from rows
    _settle(len(sys.modules))


@lru_cache(maxsize=1)  # until modules were loaded since
def _settle(modules: int) -> None:
    """Make cheap what PySpark does around each task: look through all objects and all zips.

    It collects garbage after a task and reads the directory of each zip on the path again before
    one, which takes longer than a short task. Modules stay, and so do the zips of a running worker.
    """
    gc.collect()
    gc.freeze()
    for importer in sys.path_importer_cache.values():
        if isinstance(importer, zipimporter):
            importer.invalidate_caches = _nothing  # type: ignore[method-assign]


def _nothing() -> None:
    """Leave a zip's directory as it was read."""
