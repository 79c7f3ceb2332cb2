"""Ends a task that hangs: Spark itself would wait for it for good."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """End this Python worker, even inside C code, unless the block is done in time.

    The stack of every thread goes to the worker's stderr; Spark then runs the task again.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
