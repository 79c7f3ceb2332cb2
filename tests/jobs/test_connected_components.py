"""Stars and connected components."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from benben.jobs.deduplication import connected_components

pytestmark = pytest.mark.spark
Edge = tuple[int, int]


def node(number: int) -> bytearray:
    return bytearray(number.to_bytes(20, "big"))


def edge_frame(spark: Any, edges: list[Edge], parts: int = 2) -> Any:
    rows = [(node(one), node(other)) for one, other in edges]
    return spark.createDataFrame(
        spark.sparkContext.parallelize(rows, parts), "node binary, label binary"
    )


def labels(rows: Any) -> dict[int, int]:
    return {
        int.from_bytes(row.node, "big"): int.from_bytes(row.label, "big") for row in rows.collect()
    }


def union_find(edges: list[Edge]) -> dict[int, int]:
    parent: dict[int, int] = {}

    def find(one: int) -> int:
        while parent.setdefault(one, one) != one:
            one = parent[one]
        return one

    for one, other in edges:
        one, other = sorted((find(one), find(other)))
        parent[other] = one
    return {one: find(one) for one in parent if find(one) != one}


def edges_of_all_shapes() -> list[Edge]:
    draw = random.Random(1)
    scattered = [(draw.randrange(200), draw.randrange(200)) for _ in range(130)]
    chain = [(1_000 + number, 1_001 + number) for number in range(60)]
    star = [(2_000, 2_001 + number) for number in range(300)]
    ring = [(3_000 + number, 3_000 + (number * 7 + 7) % 70) for number in range(70)]
    return scattered + chain + star + ring


def test_components_are_those_of_union_find(spark: Any, tmp_path: Path) -> None:
    edges = edges_of_all_shapes()
    found, rounds = connected_components.components(spark, edge_frame(spark, edges), str(tmp_path))
    assert labels(found) == union_find(edges)
    assert rounds <= 10  # the chain of 60 takes logarithmic rounds


def test_a_run_killed_between_rounds_goes_on_to_the_same_result(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edges = edges_of_all_shapes()
    checkpoint, done = connected_components.checkpoint, []

    def killed(spark: Any, rows: Any, folder: str, plan: Any) -> connected_components.Saved:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(folder)
        return checkpoint(spark, rows, folder, plan)

    monkeypatch.setattr(connected_components, "checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        connected_components.components(spark, edge_frame(spark, edges), str(tmp_path))
    monkeypatch.setattr(connected_components, "checkpoint", checkpoint)
    half = tmp_path / "round-02"  # a round that was being written: no marker
    half.mkdir()
    (half / "part-00000.parquet").write_bytes(b"half a file")
    written = {path: path.stat().st_mtime_ns for path in Path(done[0]).iterdir()}
    found, _ = connected_components.components(spark, edge_frame(spark, edges), str(tmp_path))
    assert labels(found) == union_find(edges)
    assert written == {path: path.stat().st_mtime_ns for path in Path(done[0]).iterdir()}


def test_a_key_of_many_nodes_costs_one_edge_each(spark: Any) -> None:
    rows = [(7, node(number)) for number in range(50)] + [(8, node(3)), (8, node(99))]
    rows += [(9, node(0)), (9, node(1)), (10, node(500))]
    keyed = spark.createDataFrame(rows, "key long, node binary")
    found = labels(connected_components.stars(keyed))
    assert len(found) == 50
    assert found[99] == 3
    assert found[49] == 0
