"""Find images that look alike: link near hashes, find components, choose leaders in each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from benben.jobs.deduplication import connected_components
from benben.jobs.deduplication.groups import groups_of_several
from benben.jobs.engine import tables
from benben.jobs.engine.tables import Batches, ShufflePlan
from benben.pipeline.deduplication import similar_images

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from benben.pipeline.settings.deduplicate import SimilarImageSettings

KEYED = pa.schema([("key", pa.int64()), ("look", pa.int64())])
LEADERS = pa.schema([("look", pa.int64()), ("leader", pa.int64())])


def find_leaders(
    spark: SparkSession,
    hashes: DataFrame,
    settings: SimilarImageSettings,
    folder: str,
    plan: ShufflePlan,
) -> DataFrame:
    """Return rows (look, leader) of the hashes that are counted as another hash, their leader.

    `hashes` has a column `look`.
    """
    edges = link(hashes.select("look").distinct(), settings, plan)
    labels, _ = connected_components.components(spark, edges, folder, plan)

    def lead(batches: Iterable[pa.RecordBatch]) -> Batches:
        for _, members in groups_of_several(batches, "label", "node"):
            found = similar_images.from_nodes(members)
            leaders = similar_images.leaders(found, settings.radius)
            moved = found != leaders
            columns = [found[moved].view(np.int64), leaders[moved].view(np.int64)]
            yield pa.RecordBatch.from_arrays(list(map(pa.array, columns)), schema=LEADERS)

    members = plan.repartition(connected_components.members(labels), "label").sortWithinPartitions(
        "label", "node"
    )
    return tables.in_workers(members, lead, LEADERS)


def link(hashes: DataFrame, settings: SimilarImageSettings, plan: ShufflePlan) -> DataFrame:
    """Return edges (node, label) between distinct hashes within the radius."""

    def key(batches: Iterable[pa.RecordBatch]) -> Batches:
        for batch in batches:
            values = batch["look"].to_numpy()
            keys = similar_images.block_keys(values.view(np.uint64), settings)
            columns = [keys.ravel(), np.repeat(values, keys.shape[1])]
            yield pa.RecordBatch.from_arrays(list(map(pa.array, columns)), schema=KEYED)

    def pair(batches: Iterable[pa.RecordBatch]) -> Batches:
        for _, members in groups_of_several(batches, "key", "look"):
            values = np.sort(np.array(members, np.int64).view(np.uint64))
            for larger, smaller in similar_images.near_pairs(
                values, settings.radius, settings.max_compared
            ):
                columns = [
                    pa.array(similar_images.as_nodes(ends), pa.binary())
                    for ends in (larger, smaller)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=connected_components.EDGES)

    keyed = tables.in_workers(hashes, key, KEYED)
    grouped = plan.repartition(keyed, "key").sortWithinPartitions("key")
    return tables.in_workers(grouped, pair, connected_components.EDGES).distinct()
