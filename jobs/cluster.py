"""Stage `cluster`: documents that are duplicates of a better one, by exact keys and by MinHash.

With `deduplicate.against`, documents of earlier runs are compared as well, from the index that
those runs wrote; `revisions` then lists the earlier documents whose decision has changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from benben.jobs.deduplication import connected_components, earlier_runs
from benben.jobs.deduplication.earlier_runs import (
    EARLIER_RUN,
    INDEX_COMPONENTS,
    INDEX_KEYS,
    INDEX_RECORDS,
    EarlierRuns,
    node_key,
)
from benben.jobs.deduplication.groups import doc_id, find_duplicates
from benben.jobs.engine import script, tables
from benben.jobs.engine.stage import Result, Run, Stage
from benben.jobs.engine.tables import Batches, ShufflePlan
from benben.pipeline import storage
from benben.pipeline.deduplication import clusters
from benben.pipeline.deduplication.clusters import CLUSTERS, EXACT, ComparedColumns, DuplicateTest
from benben.pipeline.manifest import Count, PartFile
from benben.pipeline.settings.deduplicate import DeduplicateSettings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def run(run: Run) -> Result:
    """Link documents that share a key, find components, and decide in each which documents stay."""
    settings, slots = run.config.deduplicate, run.config.fingerprint.slots
    target, test = run.target("clusters"), duplicate_test(settings)
    plan = ShufflePlan() if settings.against else ShufflePlan.of(run, "fingerprints")
    keyed, records = read_frames(run, test, plan)
    earlier = EarlierRuns(run.config) if settings.against else None
    linked, all_records = keyed, records
    if earlier:
        earlier_keys = earlier.keys(keyed)
        linked = keyed.unionByName(earlier_keys)
        all_records = records.union(earlier.records(earlier_keys))
    edges = verify(connected_components.stars(linked), plan.broadcast(all_records), test, slots)
    before = None
    if earlier:
        folder = storage.join(target, "edges")
        edges = connected_components.checkpoint(run.spark, edges, folder).rows
        ends = edges.select(F.explode(F.array("node", "label")).alias("node"))
        before = earlier.members(ends)
        all_records = records.union(earlier.records(before.select("node").union(ends)))
        edges = edges.union(before.where("node != label").select("node", "label"))
    folder = storage.join(target, "components")
    labels, rounds = connected_components.components(run.spark, edges, folder, plan)
    members = connected_components.members(labels).join(plan.broadcast(all_records), "node")
    groups = members.withColumnRenamed("label", "group")
    decisions = find_duplicates(groups, test, slots, plan)
    files = tables.write_by_part(decisions, target, CLUSTERS, plan=plan)
    result = count(run, [file for file in files if file.part != EARLIER_RUN])
    result.metrics["component_rounds"] = rounds
    if settings.index:
        decided = with_decisions(run, members, files)
        result.files |= write_index(run, earlier, keyed, records, decided)
        if before is not None:
            result.files["revisions"] = write_revisions(run, before, decided)
    for name in ("edges", "components"):
        storage.delete_folder(storage.join(target, name))
    return result


def duplicate_test(settings: DeduplicateSettings) -> DuplicateTest:
    """Return the test for duplicates that the settings describe."""
    chosen = {"url_key": settings.url, "payload_key": settings.payload, "text_key": settings.text}
    threshold = settings.minhash.verify_jaccard if settings.minhash.enabled else None
    exact = [name for name in EXACT if chosen[name]]
    return DuplicateTest(exact, threshold, settings.max_leaders)


def read_frames(run: Run, test: DuplicateTest, plan: ShufflePlan) -> tuple[DataFrame, DataFrame]:
    """Return the keys (node, key) and the records of this run's documents."""
    tasks = sorted(run.paths("fingerprints").items())
    read_keys = clusters.key_reader(test)
    read_records = clusters.record_reader(run.config.deduplicate.keep)
    listed = tables.frame(run.spark, tasks, read_keys, clusters.KEYED, plan)
    records = tables.frame(run.spark, tasks, read_records, clusters.RECORDS, plan)
    return listed.select("node", F.explode("keys").alias("key")), records


def verify(edges: DataFrame, records: DataFrame, test: DuplicateTest, slots: int) -> DataFrame:
    """Keep the edges (node, label) whose ends are duplicates when compared directly."""
    columns = records.select("node", *clusters.COMPARED)
    others = columns.select(*(F.col(name).alias(f"{name}_other") for name in columns.columns))
    paired = edges.join(columns, "node").join(others, F.col("label") == F.col("node_other"))

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        for batch in batches:
            one, other = (
                ComparedColumns.of(batch, test.exact, slots, suffix) for suffix in ("", "_other")
            )
            reasons, _ = test.compare(one, other)
            yield batch.select(["node", "label"]).filter(pa.array(reasons >= 0))

    return tables.in_workers(paired.drop("node_other"), work, "node binary, label binary")


def with_decisions(run: Run, members: DataFrame, files: list[PartFile]) -> DataFrame:
    """Join the decisions to the members of components; reason is null for kept documents."""
    folder = run.target("clusters")
    paths = [(file.part, storage.join(folder, file.name)) for file in files]
    decided = tables.frame(run.spark, paths, _read, CLUSTERS)
    names = members.select("node", "label", "part").withColumn("doc_id", doc_id("node"))
    return names.join(decided, "doc_id", "left")


def _read(part: int, path: str) -> Batches:
    yield from storage.iter_parquet(path)


def write_index(
    run: Run, earlier: EarlierRuns | None, keyed: DataFrame, records: DataFrame, decided: DataFrame
) -> dict[str, list[PartFile]]:
    """Write the index that later runs need to compare their documents with this run's."""
    keys = keyed.groupBy("key").agg(F.min("node").alias("node"))
    if earlier:
        keys = keys.join(earlier.keys(keyed).select("key"), "key", "left_anti")
    ends = F.array_distinct(F.array(node_key("node"), node_key("label")))
    rows = {
        INDEX_KEYS: keys,
        INDEX_RECORDS: records.withColumn("key", node_key("node")),
        INDEX_COMPONENTS: decided.withColumn("key", F.explode(ends)),
    }
    names = zip(earlier_runs.TABLES, rows.items(), strict=True)
    return {
        name: earlier_runs.write(frame.select(*schema.names), run.target(name), schema)
        for name, (schema, frame) in names
    }


def write_revisions(run: Run, before: DataFrame, decided: DataFrame) -> list[PartFile]:
    """Write the documents of earlier runs whose decision has changed."""
    old = before.select(
        "node", F.col("reason").alias("reason_before"), F.col("kept_id").alias("kept_before")
    )
    both = decided.where(F.col("part") == EARLIER_RUN).join(old, "node", "left")
    same = F.col("reason").eqNullSafe(F.col("reason_before"))
    same &= F.col("kept_id").eqNullSafe(F.col("kept_before"))
    changed = both.where(~same).withColumn("part", F.lit(0)).select("part", *CLUSTERS.names)
    return tables.write_by_part(changed, run.target("revisions"), CLUSTERS)


def count(run: Run, files: list[PartFile]) -> Result:
    """Count the dropped documents by reason."""
    folder = run.target("clusters")
    result = run.map([storage.join(folder, file.name) for file in files], _reasons)
    documents = result.counts.setdefault("documents", Count())
    documents.entered = run.manifest("fingerprints").rows
    documents.kept = documents.entered - sum(documents.rejected.values())
    result.files["clusters"] = files
    return result


def _reasons(path: str) -> Result:
    dropped = Count()
    for reason in storage.read_parquet(path, ["reason"])["reason"].to_pylist():
        dropped.reject(reason)
    return Result(counts={"documents": dropped})


STAGE = Stage(
    name="cluster",
    reads=("fingerprints",),
    writes=("clusters", "revisions", *earlier_runs.TABLES),
    sections=("deduplicate", "fingerprint"),
    run=run,
    sources=earlier_runs.sources,
    follows="verdicts",
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.cluster"))
