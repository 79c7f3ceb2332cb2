"""What surrounds a task in a Python worker: a time limit, and less overhead for the next task."""

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

from benben.jobs.engine.failure import UserErrorInTask
from benben.pipeline.errors import UserError

Row = TypeVar("Row")


@contextmanager
def task(seconds: float) -> Iterator[Callable[[], float]]:
    """Kill this worker, even inside C code, unless the block ends in time; yield a clock.

    The clock returns the processor seconds since the start. A worker that is killed writes the
    stack of every thread to its stderr, and Spark, which by itself would wait forever, runs the
    task again. Raises UserErrorInTask for a UserError, so that the driver can tell it.
    """
    started = time.process_time()
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield lambda: time.process_time() - started
    except UserError as error:
        raise UserErrorInTask(error) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    _reduce_overhead(len(sys.modules))


def partition() -> int:
    """Return the number of the present task among those of its Spark job."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return context.partitionId() if context else 0


def unchanged(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the same rows: the task of a worker that only passes them on."""
    yield from rows
    _reduce_overhead(len(sys.modules))


@lru_cache(maxsize=1)  # again only when modules were imported in between
def _reduce_overhead(modules: int) -> None:
    """Make cheap what PySpark does around each task.

    After a task it collects garbage among all objects, and before one it reads the directory of
    every zip on the path again; both take longer than a short task. So all present objects are
    frozen, and zips, which do not change under a running worker, keep their directories.
    """
    gc.collect()
    gc.freeze()
    for importer in sys.path_importer_cache.values():
        if isinstance(importer, zipimporter):
            importer.invalidate_caches = _keep_directory  # type: ignore[method-assign]


def _keep_directory() -> None:
    """Do nothing, in place of reading a zip's directory again."""
