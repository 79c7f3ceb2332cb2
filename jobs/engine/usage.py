"""Processor time of this process and all below it, read from Linux's /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark import Accumulator, SparkContext

TICKS = os.sysconf("SC_CLK_TCK")


def descendants(root: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def processor_seconds(root: int) -> float:
    """Processor time of the living descendants and of the children they have waited for.

    PySpark's daemon waits for none: of its workers that idled for a minute and were ended, the time
    is lost here (a stage's metrics have it).
    """
    total = 0
    for pid in descendants(root):
        fields = _stat(pid)
        total += sum(map(int, fields[11:15])) if fields else 0
    return total / TICKS


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the command's name; none when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


# FOLD-IN What the tasks of this process's Spark session used until now.


@dataclass(frozen=True)
class Used:
    """Processor seconds of frames' Python tasks, and bytes that shuffles wrote."""

    frame_seconds: float = 0.0
    shuffled_bytes: int = 0

    def since(self, earlier: Used) -> Used:
        """What came to it since an earlier look."""
        return Used(
            max(0.0, self.frame_seconds - earlier.frame_seconds),
            max(0, self.shuffled_bytes - earlier.shuffled_bytes),
        )


@lru_cache(maxsize=1)
def frame_clock(context: SparkContext) -> Accumulator[float]:
    """The sum that frames' tasks add their processor seconds to."""
    return context.accumulator(0.0)


def used() -> Used:
    """Look at the session's sums, if there is one; Spark may be a tenth of a second behind."""
    context = SparkContext._active_spark_context
    if context is None:
        return Used()
    try:
        executors = context._jsc.sc().statusStore().executorList(False)
        writes = [executors.apply(n).totalShuffleWrite() for n in range(executors.size())]
    except (Py4JError, OSError):  # the JVM is gone: what comes of that is told elsewhere
        writes = []
    return Used(frame_clock(context).value, sum(writes))
