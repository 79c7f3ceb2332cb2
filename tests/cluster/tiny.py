"""A stage of a few numbers, submitted to a cluster: `tiny.py CONFIG key=value ... [fault=NAME]`.

Each task writes its number and its square; a fault strikes once, marked by a file in FAULT_FOLDER.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pyarrow as pa

import jobs
from jobs.job import Result, Run, Stage, write_part
from pipeline import config
from pipeline.manifest import Count

SCHEMA = pa.schema([("n", pa.int64()), ("square", pa.int64())])
TASKS, STRUCK = 8, 3


def strike(folder: str) -> None:
    """Fail as the file names in the folder say; a name is used once."""
    for fault in ("kill", "hang", "exit"):
        mark = Path(folder, fault)
        if not mark.exists():
            continue
        mark.rename(Path(folder, f"{fault}-struck"))
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "hang":
            time.sleep(3600)
        os._exit(3)


def numbers(run: Run) -> Result:
    target = run.target("numbers")
    folder = os.environ["FAULT_FOLDER"]
    seconds = float(os.environ.get("TASK_SECONDS", "0"))

    def work(n: int) -> Result:
        time.sleep(seconds)
        Path(folder, f"ran-{n}-{time.time_ns()}").touch()
        if n == STRUCK:
            strike(folder)
        file = write_part(target, n, SCHEMA, [pa.table({"n": [n], "square": [n * n]})])
        return Result({"numbers": [file]}, {"documents": Count(entered=1, kept=1)})

    return run.map(range(TASKS), work)


if __name__ == "__main__":
    print("code from", jobs.__file__)
    settings = config.load(sys.argv[1], sys.argv[2:])
    Run(settings).execute(Stage("tiny", (), ("numbers",), (), numbers))
