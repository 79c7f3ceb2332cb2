"""A run's metrics as JSON lines, `OUTPUT/metrics/STAGE-TIME.jsonl`: one line an event."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from benben.jobs.engine import usage
from benben.jobs.engine.result import Result
from benben.jobs.engine.usage import Used
from benben.pipeline import storage


class MetricsLog:
    """Events of one execution of a stage.

    Stores can't append, so the file is written anew at each event; a stage has few.
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
        self.task_seconds: list[float] = []  # processor time of each task of waves until now

    @property
    def used(self) -> Used:
        """What Spark's tasks used since this log began."""
        return self._used().since(self._used_before)

    @property
    def task_cpu_seconds(self) -> float:
        """Processor time of all Python tasks until now."""
        return sum(self.task_seconds) + self.used.frame_seconds

    def event(self, name: str, **facts: object) -> None:
        """Write one line: what happened, when, and what it took until now."""
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
        """Write a finished wave's counts, and the time the `left` ones take at this pace."""
        self._waves += 1
        pace = (self._clock() - self._started) / self._waves
        eta = round(pace * left, 1)
        self.event("wave", wave=number, waves=waves, eta_seconds=eta, **figures(result))


def figures(result: Result) -> dict[str, object]:
    """Counts and sizes of a result, as plain numbers."""
    return {
        "counts": {unit: count.model_dump() for unit, count in result.counts.items()},
        "metrics": result.metrics,
        "rows": {table: sum(file.rows for file in f) for table, f in result.files.items()},
        "bytes": {table: sum(file.bytes for file in f) for table, f in result.files.items()},
    }


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
