"""Runs a stage's tasks in waves; a finished wave is kept, so a stopped stage goes on after it."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter

from benben.jobs.engine import progress, worker
from benben.jobs.engine.metrics import MetricsLog
from benben.jobs.engine.progress import Progress, say
from benben.jobs.engine.result import Result
from benben.pipeline import storage
from benben.pipeline.settings.spark import SparkSettings

Task = TypeVar("Task")
Work = Callable[[Any], Result]
# While the slowest tasks of one wave end, the next wave has the free cores.
WAVES_AT_ONCE = 2
_RESULT = TypeAdapter(Result)


class WavesError(Exception):
    """Some waves of a stage failed; the others are kept."""


@dataclass(frozen=True)
class Wave:
    """Tasks that run, are kept and are repeated together."""

    number: int
    tasks: Sequence[Any]
    path: str  # where its result is kept

    @property
    def digest(self) -> str:
        """Name the tasks: a kept result of other tasks is of no use."""
        text = re.sub(r" at 0x[0-9a-f]+", "", repr(self.tasks))  # functions have addresses
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def kept(self) -> Result | None:
        """Result of an earlier run; None when there is none of these tasks."""
        if not storage.exists(self.path):
            return None
        digest, _, text = storage.read_bytes(self.path).partition(b"\n")
        return _RESULT.validate_json(text) if digest.decode() == self.digest else None

    def keep(self, result: Result) -> None:
        """Write the result: the wave's manifest."""
        data = self.digest.encode() + b"\n" + _RESULT.dump_json(result)
        storage.write_bytes(self.path, data)


def cut(tasks: Sequence[Task], size: int, folder: str) -> list[Wave]:
    """Cut tasks into waves of `size`, whose results lie in `folder`."""
    return [
        Wave(number, tasks[start : start + size], storage.join(folder, f"{number:05d}.json"))
        for number, start in enumerate(range(0, len(tasks), size), 1)
    ]


class Waves:
    """The waves of one stage on one Spark session."""

    def __init__(self, context: Any, settings: SparkSettings, label: str, log: MetricsLog) -> None:
        self._context, self._settings, self._label, self._log = context, settings, label, log
        self._group = uuid.uuid4().hex
        self._total = 0

    def run(self, waves: list[Wave], work: Work) -> Result:
        """Run the waves that are not kept yet; adds up all results in task order.

        Raises WavesError when waves failed: after the others, or at once when
        `spark.failed_waves` have or the mistake is the user's; a single wave's own error.
        """
        self._total = len(waves)
        if len(waves) == 1:
            with self._progress(len(waves[0].tasks)):
                return self._wave(waves[0], work)
        results = {wave.number: found for wave in waves if (found := wave.kept())}
        rest = [wave for wave in waves if wave.number not in results]
        if results:
            say(f"{self._label}: {len(results)} of {len(waves)} waves are there already")
        failed: dict[int, Exception] = {}
        with self._progress(sum(len(wave.tasks) for wave in rest)):
            for number, outcome in self._outcomes(rest, work, failed):
                results[number] = outcome
                self._log.wave(number, len(waves), len(waves) - len(results), outcome)
        if failed:
            raise self._explain(failed)
        total = Result()
        for wave in waves:
            total.add(results[wave.number])
        return total

    def _outcomes(
        self, waves: list[Wave], work: Work, failed: dict[int, Exception]
    ) -> Iterator[tuple[int, Result]]:
        """Results as waves end; failures go to `failed` until there are too many."""

        def act(wave: Wave) -> Result:
            result = self._wave(wave, work)
            wave.keep(result)
            return result

        pool = ThreadPoolExecutor(WAVES_AT_ONCE)
        futures: dict[Future[Result], int] = {pool.submit(act, w): w.number for w in waves}
        try:
            while futures:
                for future in wait(futures, return_when="FIRST_COMPLETED").done:
                    number = futures.pop(future)
                    error = future.exception()
                    if not isinstance(error, Exception):
                        yield number, future.result()
                        continue
                    text = progress.cause(error)
                    say(f"{self._label}: wave {number} of {self._total} failed: {text}")
                    failed[number] = error
                    users = "benben.pipeline.errors." in str(error)
                    if users or len(failed) >= self._settings.failed_waves:
                        return
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            if futures:
                self._context.cancelJobGroup(self._group)

    def _wave(self, wave: Wave, work: Work) -> Result:
        """One wave as one Spark job."""
        limit = self._settings.task_seconds

        def guarded(task: Any) -> tuple[Result, float]:
            with worker.task(limit) as clock:
                return work(task), clock()

        text = f"{self._label}: wave {wave.number} of {self._total}"
        self._context.setJobGroup(self._group, text if self._total > 1 else self._label)
        tasks = self._context.parallelize(wave.tasks, len(wave.tasks))
        total = Result()
        for result, seconds in tasks.map(guarded).collect():
            total.add(result)
            self._log.task_seconds.append(seconds)
        return total

    def _progress(self, tasks: int) -> Progress:
        return Progress(self._context, self._group, self._label, tasks)

    def _explain(self, failed: dict[int, Exception]) -> Exception:
        first = failed[min(failed)]
        numbers = ", ".join(map(str, sorted(failed)))
        error = WavesError(
            f"{self._label}: of {self._total} waves these failed: {numbers}; run the same command "
            f"again to repeat them alone. The first one's error: {progress.cause(first)}"
        )
        error.__cause__ = first
        return error
