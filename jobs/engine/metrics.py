"""What tasks wrote and counted, and a run's log of it.

The log of each execution of a stage is `OUTPUT/metrics/STAGE-TIME.jsonl`, one JSON line an event.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from benben.jobs.engine import usage
from benben.jobs.engine.usage import Used
from benben.pipeline import storage
from benben.pipeline.manifest import Counts, PartFile, add_counts


@dataclass
class Result:
    """Files, counts and metrics of one task, or the sum over all tasks of a wave or stage."""

    files: dict[str, list[PartFile]] = field(default_factory=dict)  # by table
    counts: Counts = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    def rows(self, table: str) -> int:
        """Return the number of rows written to a table."""
        return sum(file.rows for file in self.files.get(table, []))

    def add(self, other: Result) -> None:
        """Add another task's result in place."""
        for table, files in other.files.items():
            self.files.setdefault(table, []).extend(files)
        add_counts(self.counts, other.counts)
        for name, value in other.metrics.items():
            self.metrics[name] = self.metrics.get(name, 0.0) + value

    def as_numbers(self) -> dict[str, object]:
        """Return counts and sizes, for a line of the log."""
        tables = self.files.items()
        return {
            "counts": {unit: count.model_dump() for unit, count in self.counts.items()},
            "metrics": self.metrics,
            "rows": {table: self.rows(table) for table in self.files},
            "bytes": {table: sum(file.bytes for file in files) for table, files in tables},
        }


class MetricsLog:
    """Events of one execution of a stage.

    Object stores cannot append, so each event writes the whole file again; a stage has few events.
    """

    def __init__(
        self,
        output: str,
        stage: str,
        clock: Callable[[], float] = time.time,
        used: Callable[[], Used] = usage.used,
    ) -> None:
        self._clock, self._started = clock, clock()
        self._used, self._used_before = used, used()
        stamp = datetime.fromtimestamp(self._started, UTC).strftime("%Y%m%dT%H%M%S.%f")
        self.path = storage.join(output, "metrics", f"{stage}-{stamp}.jsonl")
        self._stage, self._lines = stage, ""
        self._waves = 0
        self.task_seconds: list[float] = []  # processor time of each finished task of `Run.map`

    @property
    def used(self) -> Used:
        """What Spark's tasks used since this log began."""
        return self._used().since(self._used_before)

    @property
    def task_cpu_seconds(self) -> float:
        """Processor time of all Python tasks so far."""
        return sum(self.task_seconds) + self.used.frame_seconds

    def event(self, name: str, **facts: object) -> None:
        """Write one line: what happened, when, and what the stage used so far."""
        now = self._clock()
        line = {
            "time": datetime.fromtimestamp(now, UTC).isoformat(),
            "stage": self._stage,
            "event": name,
            "seconds": round(now - self._started, 3),
            "task_cpu_seconds": round(self.task_cpu_seconds, 3),
            "shuffled_bytes": self.used.shuffled_bytes,
            "driver_peak_bytes": _peak_bytes(),
        }
        self._lines += json.dumps(line | facts) + "\n"
        storage.write_bytes(self.path, self._lines.encode())

    def wave(self, number: int, waves: int, left: int, result: Result) -> None:
        """Write a finished wave's counts, and how long the `left` ones will take at this pace."""
        self._waves += 1
        pace = (self._clock() - self._started) / self._waves
        eta = round(pace * left, 1)
        self.event("wave", wave=number, waves=waves, eta_seconds=eta, **result.as_numbers())


def _peak_bytes() -> int:
    """Return the driver's peak memory; macOS counts it in bytes, Linux in KiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
