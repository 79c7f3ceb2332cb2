"""What the user sees while a run works: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

from benben.common.command_line import quiet

INTERVAL_SECONDS = {True: 0.2, False: 10.0}  # by whether the output is a terminal


class Progress:
    """Watch the tasks of one Spark job group and show how many are done."""

    def __init__(self, context: Any, group: str, label: str, tasks: int) -> None:
        self._tracker, self._group = context.statusTracker(), group
        self._label, self._tasks = label, tasks
        self._terminal = sys.stderr.isatty()
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self,
        error: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._terminal:
            self._write("\r\033[K")

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS[self._terminal]):
            try:
                done = self._done()
            except Exception:  # Spark has ended, which is reported elsewhere
                return
            self._show(done)

    def _done(self) -> int:
        done = 0
        for job in self._tracker.getJobIdsForGroup(self._group):
            info = self._tracker.getJobInfo(job)
            for stage in info.stageIds if info else ():
                state = self._tracker.getStageInfo(stage)
                done += state.numCompletedTasks if state else 0
        return done

    def _show(self, done: int) -> None:
        seconds = time.monotonic() - self._started
        line = f"  {self._label}: {done} tasks done"
        if self._tasks:
            line = f"  {self._label}: {min(done, self._tasks)}/{self._tasks} parts"
            if 0 < done < self._tasks:
                line += f", about {seconds / done * (self._tasks - done):.0f} s left"
        line += f", {seconds:.0f} s"
        self._write(f"\r\033[K{line}" if self._terminal else line + "\n")

    def _write(self, text: str) -> None:
        """Write our own text to the terminal itself: `sys.stderr` lets no control sequence pass."""
        stream = sys.__stderr__ if self._terminal else sys.stderr
        if stream is not None and not quiet():
            stream.write(text)
            stream.flush()


def say(line: str) -> None:
    """Print one line about the run to stderr, unless `--quiet` was given."""
    if not quiet():
        print(line, file=sys.stderr, flush=True)
