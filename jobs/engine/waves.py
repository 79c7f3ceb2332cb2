"""Runs a stage's tasks in waves and keeps each finished wave, so a stopped stage resumes there."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_core import to_json

from benben.jobs.engine import failure, progress, worker
from benben.jobs.engine.metrics import MetricsLog, Result
from benben.jobs.engine.progress import Progress, Shown, say
from benben.pipeline import storage
from benben.pipeline.settings.spark import SparkSettings

Task = TypeVar("Task")
Work = Callable[[Any], Result]
WAVES_AT_ONCE = 2  # while the slowest tasks of one wave end, the next wave uses the free cores
_RESULT = TypeAdapter(Result)


class WavesError(Exception):
    """Some waves of a stage failed; the others are kept."""


@dataclass(frozen=True)
class Wave:
    """Tasks that run together, whose result is kept as a whole."""

    number: int
    tasks: Sequence[Any]  # plain data: numbers, texts, lists, tuples, dictionaries, dataclasses
    path: str  # where its result is kept

    @property
    def digest(self) -> str:
        """Hash of the tasks' data: a result is reused for equal tasks only."""
        return hashlib.blake2b(to_json(list(self.tasks)), digest_size=8).hexdigest()

    def kept(self) -> Result | None:
        """Return the result that an earlier run kept; None without one for these tasks."""
        if not storage.exists(self.path):
            return None
        digest, _, text = storage.read_bytes(self.path).partition(b"\n")
        return _RESULT.validate_json(text) if digest.decode() == self.digest else None

    def keep(self, result: Result) -> None:
        """Write the result to `path`, for a later run."""
        data = self.digest.encode() + b"\n" + _RESULT.dump_json(result)
        storage.write_bytes(self.path, data)


def cut(tasks: Sequence[Task], size: int, folder: str) -> list[Wave]:
    """Cut tasks into waves of `size`, whose results are kept in `folder`."""
    return [
        Wave(number, tasks[start : start + size], storage.join(folder, f"{number:05d}.json"))
        for number, start in enumerate(range(0, len(tasks), size), 1)
    ]


class Waves:
    """The waves of one stage on one Spark session."""

    def __init__(
        self,
        context: Any,
        settings: SparkSettings,
        label: str,
        log: MetricsLog,
        shown: Shown = Shown(),  # noqa: B008  # it is frozen
    ) -> None:
        self._context, self._settings, self._label, self._log = context, settings, label, log
        self._shown = shown
        self._group = uuid.uuid4().hex
        self._reports = ""  # folder for the reports of tasks
        self._total = 0

    def run(self, waves: list[Wave], work: Work) -> Result:
        """Run the waves that are not kept yet, and add up all results in task order.

        A single wave raises its own error. With several, the rest still run after a failure, until
        `spark.failed_waves` have failed; then WavesError is raised. A UserError ends them at once.
        """
        self._total = len(waves)
        if len(waves) == 1:
            with self._progress(len(waves[0].tasks)) as shown:
                self._reports = shown.folder
                return self._wave(waves[0], work)
        results = {wave.number: found for wave in waves if (found := wave.kept())}
        rest = [wave for wave in waves if wave.number not in results]
        if results:
            say(f"{self._label}: {len(results)} of {len(waves)} waves are done already")
        failed: dict[int, Exception] = {}
        with self._progress(sum(len(wave.tasks) for wave in rest)) as shown:
            self._reports = shown.folder
            for number, outcome in self._outcomes(rest, work, failed):
                results[number] = outcome
                self._log.wave(number, len(waves), len(waves) - len(results), outcome)
        if failed:
            raise self._error(failed)
        total = Result()
        for wave in waves:
            total.add(results[wave.number])
        return total

    def _outcomes(
        self, waves: list[Wave], work: Work, failed: dict[int, Exception]
    ) -> Iterator[tuple[int, Result]]:
        """Yield results as waves end; add failures to `failed` and stop at too many."""

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
                    text = failure.cause(error)
                    say(f"{self._label}: wave {number} of {self._total} failed: {text}")
                    failed[number] = error
                    if failure.user_error(error) or len(failed) >= self._settings.failed_waves:
                        return
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            if futures:
                self._context.cancelJobGroup(self._group)

    def _wave(self, wave: Wave, work: Work) -> Result:
        """Run one wave as one Spark job."""
        limit, reports, number = self._settings.task_seconds, self._reports, wave.number

        def timed(task: Any) -> tuple[Result, float]:
            progress.report.begin(reports, f"{number}-{worker.partition()}")
            with worker.task(limit) as clock:
                done = work(task), clock()
            progress.report.write()
            return done

        text = f"{self._label}: wave {wave.number} of {self._total}"
        self._context.setJobGroup(self._group, text if self._total > 1 else self._label)
        tasks = self._context.parallelize(wave.tasks, len(wave.tasks))
        total = Result()
        for result, seconds in tasks.map(timed).collect():
            total.add(result)
            self._log.task_seconds.append(seconds)
        return total

    def _progress(self, tasks: int) -> Progress:
        return Progress(self._context, self._group, self._label, tasks, self._shown)

    def _error(self, failed: dict[int, Exception]) -> Exception:
        """Return the user's mistake if there is one, else an error that names the failed waves."""
        for error in failed.values():
            if mistake := failure.user_error(error):
                mistake.__cause__ = error
                return mistake
        first = failed[min(failed)]
        numbers = ", ".join(map(str, sorted(failed)))
        explained = WavesError(
            f"{self._label}: of {self._total} waves these failed: {numbers}; run the same command "
            f"again to repeat only them. The first one's error: {failure.cause(first)}"
        )
        explained.__cause__ = first
        return explained
