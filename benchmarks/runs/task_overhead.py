"""Processor time of a task with next to nothing to do, against one in an unsettled Python worker.

    python -m benchmarks.task_overhead [tasks]

Both hold the modules of a stage. Value and baseline are milliseconds of all processes, Spark's own
among them, for each task of a frame that yields one row.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator

import pyarrow as pa

from benben.jobs.engine import session, tables
from benben.pipeline.settings.spark import SparkSettings
from benchmarks.support import figure
from benchmarks.support.process import processor_seconds

STAGE = "benben.pipeline.page.extract"  # what a worker holds of it all
BATCH = pa.RecordBatch.from_pydict({"n": [1]})


def main() -> None:
    """Run both, report."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    spark = session.start(SparkSettings(master="local[2]"))
    tasks = [(number, "") for number in range(count)]

    def rows(part: int, text: str) -> Iterator[pa.RecordBatch]:
        importlib.import_module(STAGE)
        yield BATCH

    def plain(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        importlib.import_module(STAGE)
        for _ in batches:
            yield BATCH

    listed = spark.sparkContext.parallelize(tasks, count)
    given = spark.createDataFrame(listed, "part int, text string")
    unsettled = given.mapInArrow(plain, "n long")
    settled = tables.frame(spark, tasks, rows, BATCH.schema)
    figures = []
    for frame in (unsettled, settled):
        before = processor_seconds(os.getpid())
        assert frame.count() == count
        figures.append((processor_seconds(os.getpid()) - before) / count * 1000)
    figure.report("task_overhead", figures[1], figures[0], unit="ms a task")


if __name__ == "__main__":
    main()
