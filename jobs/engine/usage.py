"""Processor time and shuffled bytes: of processes, from Linux's /proc, and of Spark's tasks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark import Accumulator, SparkContext

TICKS = os.sysconf("SC_CLK_TCK")  # a second, in /proc


@dataclass(frozen=True)
class Used:
    """Processor seconds of the Python tasks of Spark frames, and bytes written by shuffles."""

    frame_seconds: float = 0.0
    shuffled_bytes: int = 0

    def since(self, earlier: Used) -> Used:
        """Return what was used since an earlier reading."""
        return Used(
            max(0.0, self.frame_seconds - earlier.frame_seconds),
            max(0, self.shuffled_bytes - earlier.shuffled_bytes),
        )


def used() -> Used:
    """Return what the tasks of this process's Spark session used so far; zeros without a session.

    Spark's sums may be a tenth of a second late.
    """
    context = SparkContext._active_spark_context
    if context is None:
        return Used()
    try:
        executors = context._jsc.sc().statusStore().executorList(False)
        writes = [executors.apply(n).totalShuffleWrite() for n in range(executors.size())]
    except (Py4JError, OSError):  # the JVM is gone, which fails the stage elsewhere
        writes = []
    return Used(frame_clock(context).value, sum(writes))


@lru_cache(maxsize=1)
def frame_clock(context: SparkContext) -> Accumulator[float]:
    """Return the accumulator to which the tasks of frames add their processor seconds."""
    return context.accumulator(0.0)


def processor_seconds(root: int) -> float:
    """Return the processor time of a process and its descendants that are alive.

    It includes the children that each has waited for. PySpark's daemon does not wait for its
    workers, so the time of workers that ended after a minute without work is missing here; the
    metrics of a stage have it.
    """
    total = 0
    for pid in descendants(root):
        fields = _stat(pid)
        total += sum(map(int, fields[11:15])) if fields else 0
    return total / TICKS


def descendants(root: int) -> list[int]:
    """Return the ids of a process and all processes below it."""
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


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the command's name; none for an ended process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
