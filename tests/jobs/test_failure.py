from benben.jobs.engine import progress

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
    assert progress.cause(Exception(SPARK.format(reason=PYTHON))) == "RuntimeError: page 7 is odd"


def test_a_lost_worker_is_the_cause() -> None:
    crashed = "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)"
    text = progress.cause(Exception(SPARK.format(reason=crashed)))
    assert text == "Python worker exited unexpectedly (crashed)"
    lost = "ExecutorLostFailure (executor 1 exited caused by one of the running tasks)"
    assert progress.cause(Exception(SPARK.format(reason=lost))) == lost


def test_other_errors_tell_their_first_line() -> None:
    assert progress.cause(ValueError("\nno such thing\nmore")) == "ValueError: no such thing"
