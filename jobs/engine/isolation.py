"""Runs a function in a child process, so that an input that crashes or hangs it fails alone.

A task that failed before reads each capture and decodes each picture this way. A capture that
crashes, hangs or fails its process at every attempt becomes a rejected document and a row of
`dead_letters`, a picture a rejected image; the others are processed as usual.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from benben.common.text import describe
from benben.pipeline.archive.warc import Capture
from benben.pipeline.document import Document

if TYPE_CHECKING:
    from benben.pipeline.images.fetch.request import Outcome
    from benben.pipeline.images.processing.processor import ImageProcessor
    from benben.pipeline.settings.fetch import FetchSettings

Decode = Callable[[bytes, "Outcome"], "Outcome"]
PICTURE_SECONDS = 10.0  # of processor time for one picture
PICTURE_PATIENCE = 4  # times as long is waited for its process
In = TypeVar("In")
Out = TypeVar("Out")
Cause = Literal["crashed", "hung", "failed"]
Read = Callable[[Capture], Document]
OVERTIME = "over the limit of processor time"
MORE_ATTEMPTS = 2  # after the one that failed the task


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
            limited = found.detail == OVERTIME
            return Document(capture.url, reason=f"extract.{'seconds' if limited else found.cause}")

        yield read_isolated


@contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Kill this process, even inside C code, when the block takes so many processor seconds.

    Whoever started it tells the cause by the signal, SIGPROF. The timer costs a microsecond.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextmanager
def pictures_on_retry(settings: FetchSettings) -> Iterator[Decode | None]:
    """Yield None at a task's first attempt, later what processes pictures in a child process.

    The child is a new process, not a fork: the fetch has threads. One picture is decoded at a time.
    """
    if not is_retry():
        yield None
        return
    decode = partial(_decode, settings)
    lock = Lock()
    patience = PICTURE_SECONDS * PICTURE_PATIENCE
    with Isolated(decode, patience, MORE_ATTEMPTS, "spawn") as isolated:

        def decode_isolated(data: bytes, outcome: Outcome) -> Outcome:
            with lock:
                found = isolated((data, outcome))
            if not isinstance(found, Failure):
                return found
            outcome.reason, outcome.detail = f"picture.{found.cause}", found.detail
            return outcome

        yield decode_isolated


def _decode(settings: FetchSettings, item: tuple[bytes, Outcome]) -> Outcome:
    """In the child: fill in an outcome from a picture's bytes."""
    data, outcome = item
    processor = _processor(settings)
    with processor_time(PICTURE_SECONDS):
        processor.process(data, outcome)
    return outcome


_processors: list[ImageProcessor] = []


def _processor(settings: FetchSettings) -> ImageProcessor:
    """The child's processor, made at its first picture; it remembers none."""
    from benben.pipeline.consent.image_consent import OptOutLists
    from benben.pipeline.images.processing.processor import ImageProcessor

    if not _processors:
        _processors.append(ImageProcessor(settings, OptOutLists(settings.consent)))
    return _processors[0]


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

    def __init__(
        self, function: Callable[[In], Out], seconds: float, attempts: int, start: str = "fork"
    ) -> None:
        self._function, self._seconds, self._attempts = function, seconds, attempts
        self._context: Any = multiprocessing.get_context(start)
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
            if failure.detail == OVERTIME:  # it would take as long again
                break
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
            if code == -signal.SIGPROF:
                return Failure("hung", OVERTIME, attempt)
            return Failure("crashed", f"exit code {code}", attempt)
        return value if done else Failure("failed", value, attempt)

    def _start(self) -> None:
        self._pipe, child_end = self._context.Pipe()
        parent_end = self._pipe if self._context.get_start_method() == "fork" else None
        self._child = self._context.Process(
            target=_serve, args=(self._function, child_end, parent_end), daemon=True
        )
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
    function: Callable[[Any], Any],
    pipe: Connection[Any, Any],
    parent_end: Connection[Any, Any] | None,
) -> None:
    """In the child: call the function on each item until the parent closes its end of the pipe."""
    if parent_end is not None:  # inherited by a fork
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
