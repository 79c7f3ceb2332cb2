"""Groups of rows that are sorted by a column: split a stream, and decide which documents stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from benben.jobs.engine.tables import SHUFFLED, Batches, ShufflePlan, in_workers
from benben.pipeline.deduplication import fingerprint
from benben.pipeline.deduplication.clusters import (
    CLUSTERS,
    Cluster,
    ComparedColumns,
    Dropped,
    DuplicateTest,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

DECISIONS = pa.schema([("part", pa.int32()), *CLUSTERS])


def find_duplicates(
    members: DataFrame, test: DuplicateTest, slots: int, plan: ShufflePlan = SHUFFLED
) -> DataFrame:
    """Visit the documents of each group in keep order; return DECISIONS for those dropped.

    Members have the columns `group`, `node`, `part`, `rank`, and those that the test compares.
    """
    ordered = plan.repartition(members, "group").sortWithinPartitions("group", "rank")

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        current, cluster = None, Cluster(test)
        for batch in batches:
            columns = ComparedColumns.of(batch, test.exact, slots)
            nodes = batch["node"].to_pylist()
            dropped: list[Dropped] = []
            for start, stop, group in runs(batch["group"].to_pylist()):
                if group != current:
                    current, cluster = group, Cluster(test)
                dropped += cluster.add(nodes[start:stop], columns.take(slice(start, stop)), start)
            yield _decisions(batch, dropped)

    return in_workers(ordered, work, DECISIONS)


def _decisions(batch: pa.RecordBatch, dropped: list[Dropped]) -> pa.RecordBatch:
    rows = pa.array([document.row for document in dropped], pa.int64())
    nodes = batch["node"].take(rows).to_pylist()
    columns = {
        "part": batch["part"].take(rows),
        "doc_id": [fingerprint.doc_id(node) for node in nodes],
        "reason": [document.reason for document in dropped],
        "kept_id": [fingerprint.doc_id(document.kept) for document in dropped],
        "similarity": [document.similarity for document in dropped],
    }
    return pa.RecordBatch.from_pydict(columns, DECISIONS)


def doc_id(node: str) -> Column:
    """Return the doc_id of a column of graph nodes, as `fingerprint.doc_id` does."""
    return F.lower(F.hex(F.substring(node, 5, 16)))


def groups_of_several(
    batches: Iterable[pa.RecordBatch], by: str, column: str
) -> Iterator[tuple[object, list[Any]]]:
    """Split a stream sorted by the column `by` into groups; yield the other column's values.

    Groups of one row are left out.
    """
    current: object = None
    members: list[Any] = []
    for batch in batches:
        values = batch[column].to_pylist()
        for start, stop, group in runs(batch[by].to_pylist()):
            if group != current:
                if len(members) > 1:
                    yield current, members
                current, members = group, []
            members += values[start:stop]
    if len(members) > 1:
        yield current, members


def runs(values: list[Any]) -> Iterator[tuple[int, int, Any]]:
    """Yield runs of equal values as (start, stop, value)."""
    start = 0
    for place in range(1, len(values) + 1):
        if place == len(values) or values[place] != values[start]:
            yield start, place, values[start]
            start = place
