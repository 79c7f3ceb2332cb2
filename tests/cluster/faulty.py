"""The chain with a fault in every stage: submitted as `faulty.py run CONFIG ...`.

FAULT (`kill`, `hang` or `memory`, which is then used up) strikes the Python worker of each stage's
first task, once: a file in FAULT_FOLDER tells which stage was struck.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from benben.jobs.commands import cli
from benben.jobs.engine import tables
from benben.jobs.engine.stage import Run

MOST_MEMORY = 2 << 30
FAULT, FOLDER = os.environ["FAULT"], os.environ["FAULT_FOLDER"]
plain_map, plain_frame = Run.map, tables.frame


def armed(function: Callable[..., Any], mark: str, fault: str) -> Callable[..., Any]:
    """The function, whose first call in any process ends, hangs or fills that process."""

    def struck(*given: Any) -> Any:
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return function(*given)
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "memory":
            resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
            return bytearray(2 * MOST_MEMORY)
        return time.sleep(3600)

    return struck


def faulty_map(run: Run, tasks: Any, work: Callable[..., Any], *rest: Any, **more: Any) -> Any:
    return plain_map(run, tasks, armed(work, f"{FOLDER}/{run.stage}", FAULT), *rest, **more)


def faulty_frame(spark: Any, tasks: Any, read: Callable[..., Any], *rest: Any) -> Any:
    stage = spark.sparkContext.getLocalProperty("spark.jobGroup.id")
    return plain_frame(spark, tasks, armed(read, f"{FOLDER}/{stage}", FAULT), *rest)


if __name__ == "__main__":
    Run.map, tables.frame = faulty_map, faulty_frame
    sys.exit(cli.main(sys.argv[1:]))
