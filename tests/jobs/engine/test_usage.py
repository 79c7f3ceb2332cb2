"""Processor time of frames' tasks and bytes of shuffles, as a stage's metrics tell them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from benben.jobs.engine import tables
from benben.jobs.engine.metrics import MetricsLog
from benben.jobs.engine.usage import Used, used
from benben.pipeline import storage

pytestmark = pytest.mark.spark
BUSY = 0.2  # processor seconds of each of two tasks


def busy(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    until = time.process_time() + BUSY
    while time.process_time() < until:
        pass
    yield from batches


def test_a_stages_metrics_hold_what_its_frames_used(spark: SparkSession, tmp_path: Path) -> None:
    tables.in_workers(spark.range(100, numPartitions=2), busy, "id long").collect()
    before = used()
    assert before.frame_seconds >= 2 * BUSY
    log = MetricsLog(str(tmp_path), "mine")  # what was before it is another's
    rows = tables.in_workers(spark.range(100, numPartitions=2), busy, "id long")
    assert rows.repartition(3, "id").count() == 100
    log.event("committed")
    (path,) = storage.list_files(f"{tmp_path}/metrics")
    line = json.loads(storage.read_bytes(path))
    assert line["task_cpu_seconds"] >= 2 * BUSY
    assert line["task_cpu_seconds"] == round(used().frame_seconds - before.frame_seconds, 3)
    assert line["shuffled_bytes"] > 0


def test_sums_of_a_session_that_started_later_do_not_go_below_zero() -> None:
    assert Used(1.0, 5).since(Used(2.0, 7)) == Used(0.0, 0)
    assert Used(3.0, 9).since(Used(2.0, 7)) == Used(1.0, 2)
