"""How a task that failed before reads: each capture in a child process, so that it fails alone.

A capture that crashes, hangs or fails its process at every attempt becomes a rejected document and
a row of `dead_letters`; the others go through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benben.pipeline.archive.warc import Capture
from benben.pipeline.document import Document
from benben.pipeline.isolate import Died, Isolated

Read = Callable[[Capture], Document]
MORE_ATTEMPTS = 2  # after the one that failed the task


@contextmanager
def reader(read: Read, seconds: float, dead: list[dict[str, object]]) -> Iterator[Read]:
    """`read` itself at a task's first attempt, later in a child process; adds to `dead`."""
    if not again():
        yield read
        return
    with Isolated(read, seconds, MORE_ATTEMPTS) as isolated:

        def carefully(capture: Capture) -> Document:
            found = isolated(capture)
            if not isinstance(found, Died):
                return found
            fate = {"cause": found.cause, "detail": found.detail, "attempts": found.attempts + 1}
            place = {"warc_offset": capture.offset, "warc_length": capture.length}
            dead.append({"url": capture.url, "warc": capture.warc} | place | fate)
            return Document(capture.url, reason=f"extract.{found.cause}")

        yield carefully


def again() -> bool:
    """Tell whether this task failed before."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return context is not None and context.attemptNumber() > 0
