"""What the tasks of this process's Spark session used until now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from py4j.protocol import Py4JError
from pyspark import Accumulator, SparkContext


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
