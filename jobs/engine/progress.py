"""What the user sees while a run works: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from benben.common.command_line import quiet

INTERVAL_SECONDS = {True: 0.2, False: 10.0}  # by whether the output is a terminal
REPORT_SECONDS = 0.5  # between two reports of one task
LEAST_SECONDS = 1.0  # before a pace is shown


class Report:
    """In a worker: tells how far the present task is, where the driver can read it.

    That is a file in a folder of the driver's machine. Elsewhere there is no such folder, and only
    finished tasks are counted.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self.wanted = False  # whether the driver reads what this task reports
        self._rows, self._done, self._written = 0, 0.0, 0.0

    def begin(self, folder: str, name: str) -> None:
        """Begin a task, whose reports go to a file of this name."""
        self.wanted = Path(folder).is_dir()
        self._path = Path(folder, name) if self.wanted else None
        self._rows, self._done, self._written = 0, 0.0, time.monotonic()

    def add(self, rows: int, done: float | None = None) -> None:
        """Count rows, and what is done in the units of the stage's `size`; without it, rows."""
        self._rows += rows
        self._done += rows if done is None else done
        if self._path and time.monotonic() - self._written >= REPORT_SECONDS:
            self.write()

    def write(self) -> None:
        """Write the counts; nothing depends on them, so no failure matters."""
        self._written = time.monotonic()
        if self._path:
            with suppress(OSError):
                self._path.write_text(f"{self._rows} {self._done:.0f}")


report = Report()  # of this process's task


@dataclass(frozen=True)
class Shown:
    """What a stage's progress tells beside its tasks."""

    size: float | None = None  # all that tasks will report as done
    unit: str = "pages"  # of the rows that tasks report
    before: str = ""  # what earlier stages left


class Progress:
    """Watch the tasks of one Spark job group, and show their pace and what is left."""

    def __init__(self, context: Any, group: str, label: str, tasks: int, shown: Shown) -> None:
        self._tracker, self._group = context.statusTracker(), group
        self._label, self._tasks, self._shown = label, tasks, shown
        self._terminal = sys.stderr.isatty()
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.folder = ""  # for the reports of tasks

    def __enter__(self) -> Progress:
        self.folder = tempfile.mkdtemp(prefix="benben-progress-")
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
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._terminal:
            self._write("\r\033[K")

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS[self._terminal]):
            try:
                tasks = self._tasks_done()
            except Exception:  # Spark has ended, which is reported elsewhere
                return
            line = self._line(tasks, *self._reported(), time.monotonic() - self._started)
            self._show(line)

    def _tasks_done(self) -> int:
        done = 0
        for job in self._tracker.getJobIdsForGroup(self._group):
            info = self._tracker.getJobInfo(job)
            for stage in info.stageIds if info else ():
                state = self._tracker.getStageInfo(stage)
                done += state.numCompletedTasks if state else 0
        return done

    def _reported(self) -> tuple[int, float]:
        """Return the rows, and all that is done, that the tasks of this machine reported."""
        rows, done = 0, 0.0
        for path in Path(self.folder).iterdir():
            with suppress(OSError, ValueError):  # it is being written
                mine, part = path.read_text().split()
                rows, done = rows + int(mine), done + float(part)
        return rows, done

    def _line(self, tasks: int, rows: int, done: float, seconds: float) -> str:
        """Say how far the stage is: parts, rows and their pace, the time left, the funnel."""
        unit, size = self._shown.unit, self._shown.size
        parts = [f"{min(tasks, self._tasks)}/{self._tasks} parts"]
        if rows:
            parts.append(f"{rows:,} {unit}")
        if rows and seconds >= LEAST_SECONDS:
            parts.append(f"{rows / seconds:,.0f} {unit}/s")
        parts.append(f"{seconds:.0f} s")
        share = max(tasks / self._tasks, done / size if size else 0)
        if 0 < share < 1 and seconds >= LEAST_SECONDS:
            parts.append(f"about {seconds / share * (1 - share):.0f} s left")
        text = f"  {self._label}: {', '.join(parts)}"
        return f"{text} | {self._shown.before}" if self._shown.before else text

    def _show(self, line: str) -> None:
        if not self._terminal:
            self._write(line + "\n")
            return
        width = shutil.get_terminal_size().columns
        self._write(f"\r\033[K{line[: width - 1]}")

    def _write(self, text: str) -> None:
        """Write our own text to the terminal itself: `sys.stderr` lets no control sequence pass."""
        stream = sys.__stderr__ if self._terminal else sys.stderr
        if stream is not None and not quiet():
            stream.write(text)
            stream.flush()


def funnel(stages: Sequence[tuple[str, int, int]]) -> str:
    """Say how many documents are left after each stage: (name, entered, kept)."""
    if not stages:
        return ""
    steps = [f"{name} {kept:,}" for name, entered, kept in stages if entered != kept]
    return " > ".join([f"{stages[0][1]:,} pages", *steps])


def say(line: str) -> None:
    """Print one line about the run to stderr, unless `--quiet` was given."""
    if not quiet():
        print(line, file=sys.stderr, flush=True)
