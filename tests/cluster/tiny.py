"""A stage of a few numbers, submitted to a cluster: each task writes its number and its square."""

from __future__ import annotations

import sys

import pyarrow as pa

from benben import jobs
from benben.jobs.engine.stage import Result, Run, Stage
from benben.pipeline import config
from benben.pipeline.manifest import Count, write_part

SCHEMA = pa.schema([("n", pa.int64()), ("square", pa.int64())])
TASKS = 8


def numbers(run: Run) -> Result:
    target = run.target("numbers")

    def work(n: int) -> Result:
        file = write_part(target, n, SCHEMA, [pa.table({"n": [n], "square": [n * n]})])
        return Result({"numbers": [file]}, {"documents": Count(entered=1, kept=1)})

    return run.map(range(TASKS), work)


if __name__ == "__main__":
    print("code from", jobs.__file__)
    settings = config.load(sys.argv[1], sys.argv[2:])
    Run(settings).execute(Stage("tiny", (), ("numbers",), (), numbers))
