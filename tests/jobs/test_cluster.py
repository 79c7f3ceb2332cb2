"""Links that are cut before components are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benben.jobs import cluster
from benben.jobs.deduplication import connected_components
from benben.jobs.engine.tables import ShufflePlan, spark_schema
from benben.pipeline.deduplication.clusters import RECORDS, DuplicateTest

pytestmark = pytest.mark.spark
SLOTS = 20


def node(number: int) -> bytearray:
    return bytearray(number.to_bytes(20, "big"))


def record(number: int, signature: bytes | None, url: int | None = None) -> tuple[Any, ...]:
    blank = None if signature is None else bytearray(signature)
    return node(number), 0, bytearray(node(number)), url, None, None, blank


@pytest.mark.parametrize("one_task", [True, False])
def test_a_component_held_together_by_chance_is_split(
    spark: Any, tmp_path: Path, one_task: bool
) -> None:
    plan = ShufflePlan(one_task)
    ones, twos = bytes([1] * SLOTS), bytes([2] * SLOTS)
    rows = [record(number, ones) for number in range(30)]
    rows += [record(number, twos) for number in range(30, 60)]
    rows += [record(60, twos, url=5), record(61, None, url=5)]  # one has no text, the URL is equal
    records = plan.coalesce(spark.createDataFrame(rows, spark_schema(RECORDS)))
    shared = [(1, range(30)), (2, range(30, 61)), (3, (7, 40)), (4, (0, 59)), (5, (60, 61))]
    keys = [(key, node(number)) for key, numbers in shared for number in numbers]
    keyed = plan.coalesce(spark.createDataFrame(keys, "key long, node binary"))
    test = DuplicateTest(["url_key"], 0.75, 100)
    links = cluster.verify(connected_components.stars(keyed), plan.broadcast(records), test, SLOTS)
    labels, _ = connected_components.components(spark, links, str(tmp_path), plan)
    found = {
        int.from_bytes(row.node, "big"): int.from_bytes(row.label, "big")
        for row in labels.collect()
    }
    assert found == dict.fromkeys(range(1, 30), 0) | dict.fromkeys(range(31, 62), 30)
