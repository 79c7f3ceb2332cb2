"""Graphs whose edges are rows: link nodes that share a key, and find connected components.

Nodes are byte strings; the smallest node of a component is its label. The algorithm is that of
Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii, "Connected Components in MapReduce and Beyond"
(SoCC 2014): large-star and small-star in turn. Each round is written to storage, so a lost executor
costs no earlier round, and a killed job resumes after the last complete one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import Window
from pyspark.sql import functions as F

from benben.jobs.engine.progress import say
from benben.jobs.engine.tables import SHUFFLED, ShufflePlan, frame, in_workers
from benben.pipeline import storage
from benben.pipeline.errors import UserError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Batches = Iterator[pa.RecordBatch]
EDGES = pa.schema([("node", pa.binary()), ("label", pa.binary())])
REPORT = "name string, rows long, digest long"
MAX_ROUNDS = 60  # far above the logarithm of any graph's size: reaching it is a bug


def stars(keyed: DataFrame) -> DataFrame:
    """Link each node to the smallest node that has the same key: (key, node) -> (node, label).

    A key shared by n nodes costs n - 1 edges, not the n^2 / 2 pairs.
    """
    members = Window.partitionBy("key")
    linked = keyed.withColumn("label", F.min("node").over(members))
    return linked.where("node > label").select("node", "label").distinct()


def components(
    spark: SparkSession, edges: DataFrame, folder: str, plan: ShufflePlan = SHUFFLED
) -> tuple[DataFrame, int]:
    """Label every node of an edge list (node, label) with its component's smallest node.

    The smallest node itself has no row. Rounds are written under `folder`. Returns the rows and the
    number of rounds.
    """
    edges = edges.where("node != label")
    state = checkpoint(spark, edges, storage.join(folder, "round-00"), plan)
    for number in range(1, MAX_ROUNDS + 1):
        before = state
        place = storage.join(folder, f"round-{number:02d}")
        state = checkpoint(spark, small_star(large_star(state.rows)), place, plan)
        say(f"  components: round {number}, {state.count:,} edges")
        if (state.count, state.digest) == (before.count, before.digest):
            return state.rows, number
    raise UserError(f"connected components still changed after {MAX_ROUNDS} rounds")


def large_star(edges: DataFrame) -> DataFrame:
    """Link the larger neighbours of each node to the smallest of the node and its neighbours.

    Each edge gives one row. Repeated rows stay; `small_star` removes them.
    """
    least = F.least(F.min("node").over(Window.partitionBy("centre")), F.col("centre"))
    stars = both_ways(edges, "centre", "node").withColumn("label", least)
    return stars.where("node > centre").select("node", "label")


def small_star(edges: DataFrame) -> DataFrame:
    """Link each node and its smaller neighbours to the smallest of them; node > label."""
    least = F.min("label").over(Window.partitionBy("node"))
    starred = edges.where("node != label").withColumn("least", least)
    ends = F.array(F.struct("node"), F.struct(F.col("label").alias("node")))
    rows = starred.select(F.explode(ends).alias("end"), "least")
    pointed = rows.select("end.node", F.col("least").alias("label"))
    return pointed.where("node != label").distinct()


def both_ways(edges: DataFrame, one: str, other: str) -> DataFrame:
    """Return each edge (node, label) in both directions, in columns of the given names."""
    columns = ((F.col("node"), F.col("label")), (F.col("label"), F.col("node")))
    ends = [F.struct(a.alias(one), b.alias(other)) for a, b in columns]
    return edges.select(F.explode(F.array(*ends)).alias("ends")).select("ends.*")


def members(labels: DataFrame) -> DataFrame:
    """Return rows (node, label) of every node of a component, the smallest included."""
    ends = F.explode(F.array("node", "label")).alias("end")
    return labels.select(ends, "label").select(F.col("end").alias("node"), "label").distinct()


@dataclass(frozen=True)
class Saved:
    """Edges in storage: their number, a digest of their set, and the frame that reads them."""

    count: int
    digest: int
    rows: DataFrame


def checkpoint(
    spark: SparkSession, edges: DataFrame, folder: str, plan: ShufflePlan = SHUFFLED
) -> Saved:
    """Write edges to a folder, unless an earlier attempt completed it; return what was written."""
    marker = storage.join(folder, "whole.json")
    if not storage.exists(marker):
        hashed = edges.withColumn("digest", F.xxhash64("node", "label"))
        reports = [list(row) for row in in_workers(hashed, _writer(folder), REPORT).collect()]
        storage.write_bytes(marker, json.dumps(reports).encode())
    reports = json.loads(storage.read_bytes(marker))
    return Saved(
        count=sum(rows for _, rows, _ in reports),
        digest=sum(digest for _, _, digest in reports) % 2**62,
        rows=_read(spark, [storage.join(folder, name) for name, rows, _ in reports if rows], plan),
    )


def _writer(folder: str) -> Callable[[Iterable[pa.RecordBatch]], Batches]:
    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        context = TaskContext.get()
        assert context is not None
        name = f"part-{context.partitionId():05d}.parquet"
        digest = 0
        with storage.ParquetWriter(storage.join(folder, name), EDGES, 1_000_000) as writer:
            for batch in batches:
                digest += int(batch["digest"].to_numpy().sum())
                writer.write(batch.select(EDGES.names).cast(EDGES))
        row = {"name": [name], "rows": [writer.rows], "digest": [digest % 2**62]}
        yield pa.RecordBatch.from_pydict(row)

    return work


def _read(spark: SparkSession, paths: list[str], plan: ShufflePlan) -> DataFrame:
    def rows(part: int, path: str) -> Batches:
        yield from storage.iter_parquet(path, batch_rows=100_000)

    return frame(spark, [(0, path) for path in paths], rows, EDGES, plan)
