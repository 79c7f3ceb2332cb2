from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from benben.jobs.engine import failure
from benben.jobs.engine.metrics import Result
from benben.jobs.engine.stage import Run, Stage
from benben.jobs.engine.tables import frame
from benben.pipeline import config
from benben.pipeline.errors import InputError, UserError

MESSAGE = 'a "quoted" path: C:\\x\nüber two lines'

SPARK = """An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed 1 \
times, most recent failure: Lost task 0.0 in stage 1.0 (TID 1): {reason}
\tat org.apache.spark.scheduler.Task.run(Task.scala:141)
"""
PYTHON = """org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "worker.py", line 1247, in main
    process()
RuntimeError: page 7 is odd
"""


def test_the_workers_own_error_is_the_cause() -> None:
    assert failure.cause(Exception(SPARK.format(reason=PYTHON))) == "RuntimeError: page 7 is odd"


def test_of_errors_raised_from_one_another_the_last_is_the_cause() -> None:
    said = "The above exception was the direct cause of the following exception:"
    chain = f"""{PYTHON}
{said}

Traceback (most recent call last):
  File "files.py", line 250, in naming
    raise OSError(error.errno, os.strerror(error.errno), url) from error
OSError: [Errno 28] No space left on device: '/run/part'
"""
    text = failure.cause(Exception(SPARK.format(reason=chain)))
    assert text == "OSError: [Errno 28] No space left on device: '/run/part'"


def test_a_lost_worker_is_the_cause() -> None:
    crashed = "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)"
    text = failure.cause(Exception(SPARK.format(reason=crashed)))
    assert text == "Python worker exited unexpectedly (crashed)"
    lost = "ExecutorLostFailure (executor 1 exited caused by one of the running tasks)"
    assert failure.cause(Exception(SPARK.format(reason=lost))) == lost


def test_other_errors_tell_their_first_line() -> None:
    assert failure.cause(ValueError("\nno such thing\nmore")) == "ValueError: no such thing"


class MyError(UserError):
    """A kind of UserError that no other file knows."""


def by_map(run: Run) -> Result:
    def work(_: int) -> Result:
        raise InputError(MESSAGE)

    return run.map([1, 2, 3], work)


def by_frame(run: Run) -> Result:
    def read(_: int) -> Iterator[pa.RecordBatch]:
        raise MyError(MESSAGE)

    frame(run.spark, [(1,), (2,)], read, pa.schema([("n", pa.int64())])).collect()
    return Result()


@pytest.mark.spark
@pytest.mark.parametrize("work", [by_map, by_frame])
@pytest.mark.parametrize("wave_tasks", [1, 3])
def test_a_users_mistake_in_a_task_reaches_the_driver_as_one(
    spark: SparkSession, tmp_path: Path, work: object, wave_tasks: int
) -> None:
    given = ["input=[x]", f"output={tmp_path}", f"spark.wave_tasks={wave_tasks}"]
    stage: Stage = Stage("wrong", (), ("numbers",), (), work)  # type: ignore[arg-type]
    with pytest.raises(UserError) as raised:
        Run(config.load("default", given)).execute(stage)
    assert str(raised.value) == MESSAGE


def test_other_errors_are_no_mistakes_of_the_user() -> None:
    assert failure.user_error(ValueError("benben.pipeline.errors.UserError: x")) is None
    mistake = UserError("x")
    assert failure.user_error(mistake) is mistake
