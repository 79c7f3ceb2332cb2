"""Runs a function in a child process: an input that crashes or hangs it costs that input alone."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic, Literal, TypeVar

from benben.pipeline.archive.warc import Capture
from benben.pipeline.document import Document

In = TypeVar("In")
Out = TypeVar("Out")
Cause = Literal["crashed", "hung", "failed"]
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Died:
    """What became of an input that got no result at any attempt."""

    cause: Cause
    detail: str
    attempts: int


class Isolated(Generic[In, Out]):
    """A function in a child process that is made anew after each death."""

    def __init__(self, function: Callable[[In], Out], seconds: float, attempts: int) -> None:
        self._function, self._seconds, self._attempts = function, seconds, attempts
        self._child: Any = None
        self._pipe: Connection[Any, Any]

    def __call__(self, item: In) -> Out | Died:
        """The function's result, or how its last attempt ended."""
        died = Died("failed", "no attempt", 0)
        for attempt in range(1, self._attempts + 1):
            result = self._try(item, attempt)
            if not isinstance(result, Died):
                return result
            died = result
        return died

    def _try(self, item: In, attempt: int) -> Out | Died:
        if self._child is None:
            self._start()
        try:
            self._pipe.send(item)
            if not self._pipe.poll(self._seconds):
                self.close()
                return Died("hung", f"no result in {self._seconds:g} s", attempt)
            done, value = self._pipe.recv()
        except (EOFError, OSError):
            self._child.join()
            code = self._child.exitcode
            self.close()
            return Died("crashed", f"exit code {code}", attempt)
        return value if done else Died("failed", value, attempt)

    def _start(self) -> None:
        self._pipe, theirs = _FORK.Pipe()
        self._child = _FORK.Process(target=_serve, args=(self._function, theirs, self._pipe))
        self._child.start()
        theirs.close()

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._pipe.close()
            self._child.kill()
            self._child.join()
            self._child = None

    def __enter__(self) -> Isolated[In, Out]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _serve(
    function: Callable[[Any], Any], pipe: Connection[Any, Any], parents: Connection[Any, Any]
) -> None:
    """Answer items until the parent closes its end."""
    parents.close()
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            answer = True, function(item)
        except Exception as error:
            answer = False, f"{type(error).__name__}: {error}"
        pipe.send(answer)


# FOLD-IN How a task that failed before reads: each capture in a child process, so that it fails
# alone.
#
# A capture that crashes, hangs or fails its process at every attempt becomes a rejected document
# and
# a row of `dead_letters`; the others go through.


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
