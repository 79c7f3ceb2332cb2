"""Runs a function in a child process, so that an input that crashes or hangs it fails alone.

A task that failed before reads each capture this way: a capture that crashes, hangs or fails its
process at every attempt becomes a rejected document and a row of `dead_letters`, and the others are
extracted as usual.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic, Literal, TypeVar

from benben.common.text import describe
from benben.pipeline.archive.warc import Capture
from benben.pipeline.document import Document

In = TypeVar("In")
Out = TypeVar("Out")
Cause = Literal["crashed", "hung", "failed"]
Read = Callable[[Capture], Document]
MORE_ATTEMPTS = 2  # after the one that failed the task
_FORK = multiprocessing.get_context("fork")


@contextmanager
def isolated_on_retry(read: Read, seconds: float, dead: list[dict[str, object]]) -> Iterator[Read]:
    """Yield `read` itself at a task's first attempt, later `read` in a child process.

    `seconds` limits each call in the child; captures without a result are added to `dead`.
    """
    if not is_retry():
        yield read
        return
    with Isolated(read, seconds, MORE_ATTEMPTS) as isolated:

        def read_isolated(capture: Capture) -> Document:
            found = isolated(capture)
            if not isinstance(found, Failure):
                return found
            fate = {"cause": found.cause, "detail": found.detail, "attempts": found.attempts + 1}
            place = {"warc_offset": capture.offset, "warc_length": capture.length}
            dead.append({"url": capture.url, "warc": capture.warc} | place | fate)
            return Document(capture.url, reason=f"extract.{found.cause}")

        yield read_isolated


def is_retry() -> bool:
    """Tell whether this Spark task failed before."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return context is not None and context.attemptNumber() > 0


@dataclass(frozen=True)
class Failure:
    """How the last attempt at an input ended that got no result."""

    cause: Cause
    detail: str
    attempts: int


class Isolated(Generic[In, Out]):
    """A function in a child process, which is started again after each crash."""

    def __init__(self, function: Callable[[In], Out], seconds: float, attempts: int) -> None:
        self._function, self._seconds, self._attempts = function, seconds, attempts
        self._child: Any = None
        self._pipe: Connection[Any, Any]

    def __call__(self, item: In) -> Out | Failure:
        """Return the function's result, or how the last attempt ended."""
        failure = Failure("failed", "no attempt", 0)
        for attempt in range(1, self._attempts + 1):
            result = self._try(item, attempt)
            if not isinstance(result, Failure):
                return result
            failure = result
        return failure

    def _try(self, item: In, attempt: int) -> Out | Failure:
        if self._child is None:
            self._start()
        try:
            self._pipe.send(item)
            if not self._pipe.poll(self._seconds):
                self.close()
                return Failure("hung", f"no result in {self._seconds:g} s", attempt)
            done, value = self._pipe.recv()
        except (EOFError, OSError):
            self._child.join()
            code = self._child.exitcode
            self.close()
            return Failure("crashed", f"exit code {code}", attempt)
        return value if done else Failure("failed", value, attempt)

    def _start(self) -> None:
        self._pipe, child_end = _FORK.Pipe()
        self._child = _FORK.Process(target=_serve, args=(self._function, child_end, self._pipe))
        self._child.start()
        child_end.close()

    def close(self) -> None:
        """Kill the child process."""
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
    function: Callable[[Any], Any], pipe: Connection[Any, Any], parent_end: Connection[Any, Any]
) -> None:
    """In the child: call the function on each item until the parent closes its end of the pipe."""
    parent_end.close()
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            answer = True, function(item)
        except Exception as error:
            answer = False, describe(error)
        pipe.send(answer)
