"""Fingerprints to clusters: documents that repeat a better one, by exact keys and by MinHash.

With `deduplicate.against`, documents of earlier runs take part through the index those left, and
`revisions` says what the new documents change for them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from benben.jobs.deduplication import connected_components, earlier_runs
from benben.jobs.deduplication.earlier_runs import (
    INDEX_COMPONENTS,
    INDEX_KEYS,
    INDEX_RECORDS,
    OLD,
    Earlier,
    node_key,
)
from benben.jobs.engine import script, tables
from benben.jobs.engine.stage import Result, Run, Stage
from benben.jobs.engine.tables import ShufflePlan
from benben.pipeline import storage
from benben.pipeline.deduplication import clusters
from benben.pipeline.deduplication.clusters import CLUSTERS, EXACT, Judge, Traits
from benben.pipeline.manifest import Count, PartFile
from benben.pipeline.settings.deduplicate import DeduplicateSettings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Batches = Iterator[pa.RecordBatch]


def run(run: Run) -> Result:
    """Link documents that share a key, find components, decide in each who stays."""
    settings, slots = run.config.deduplicate, run.config.fingerprint.slots
    target, judge = run.target("clusters"), judge_of(settings)
    tasks = sorted(run.paths("fingerprints").items())
    plan = ShufflePlan() if settings.against else ShufflePlan.of(run, "fingerprints")
    keyed, records = frames(run, tasks, judge, plan)
    known = Earlier(run.config) if settings.against else None
    linked, everything = keyed, records
    if known:
        old = known.keys(keyed)
        linked, everything = keyed.unionByName(old), records.union(known.records(old))
    edges = verify(connected_components.stars(linked), plan.broadcast(everything), judge, slots)
    before = None
    if known:
        edges = connected_components.checkpoint(
            run.spark, edges, storage.join(target, "edges")
        ).rows
        ends = edges.select(F.explode(F.array("node", "label")).alias("node"))
        before = known.members(ends)
        everything = records.union(known.records(before.select("node").union(ends)))
        edges = edges.union(before.where("node != label").select("node", "label"))
    place = storage.join(target, "components")
    labels, rounds = connected_components.components(run.spark, edges, place, plan)
    members = connected_components.members(labels).join(plan.broadcast(everything), "node")
    groups = members.withColumnRenamed("label", "group")
    decisions = connected_components.decide(groups, judge, slots, plan)
    files = tables.write_by_part(decisions, target, CLUSTERS, plan=plan)
    result = count(run, [file for file in files if file.part != OLD])
    result.metrics["component_rounds"] = rounds
    if settings.index:
        decided = with_decisions(run, members, files)
        result.files |= write_index(run, known, keyed, records, decided)
        if before is not None:
            result.files["revisions"] = write_revisions(run, before, decided)
    for name in ("edges", "components"):
        storage.delete_folder(storage.join(target, name))
    return result


def judge_of(settings: DeduplicateSettings) -> Judge:
    """What makes documents duplicates under the settings."""
    chosen = {"url_key": settings.url, "payload_key": settings.payload, "text_key": settings.text}
    near = settings.minhash.verify_jaccard if settings.minhash.enabled else None
    return Judge([name for name in EXACT if chosen[name]], near, settings.max_leaders)


def frames(
    run: Run, tasks: list[tuple[int, str]], judge: Judge, plan: ShufflePlan
) -> tuple[DataFrame, DataFrame]:
    """Keys (node, key) and records of this run's documents."""
    read_keys = clusters.key_reader(judge)
    read_records = clusters.record_reader(run.config.deduplicate.keep)
    listed = tables.frame(run.spark, tasks, read_keys, clusters.KEYED, plan)
    records = tables.frame(run.spark, tasks, read_records, clusters.RECORDS, plan)
    return listed.select("node", F.explode("keys").alias("key")), records


def verify(links: DataFrame, records: DataFrame, judge: Judge, slots: int) -> DataFrame:
    """Keep the links (node, label) whose ends are duplicates by their own keys and signatures."""
    traits = records.select("node", *clusters.TRAITS)
    others = traits.select(*(F.col(name).alias(f"{name}_other") for name in traits.columns))
    paired = links.join(traits, "node").join(others, F.col("label") == F.col("node_other"))

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        for batch in batches:
            one, other = (Traits.of(batch, judge.exact, slots, end) for end in ("", "_other"))
            reasons, _ = judge.compare(one, other)
            yield batch.select(["node", "label"]).filter(pa.array(reasons >= 0))

    return tables.in_workers(paired.drop("node_other"), work, "node binary, label binary")


def with_decisions(run: Run, members: DataFrame, files: list[PartFile]) -> DataFrame:
    """Lay what was decided beside the members of components: reason and kept_id, null for kept."""
    folder = run.target("clusters")
    paths = [(file.part, storage.join(folder, file.name)) for file in files]
    decided = tables.frame(run.spark, paths, _read, CLUSTERS)
    names = members.select("node", "label", "part").withColumn(
        "doc_id", connected_components.doc_id("node")
    )
    return names.join(decided, "doc_id", "left")


def _read(part: int, path: str) -> Batches:
    yield from storage.iter_parquet(path)


def write_index(
    run: Run, known: Earlier | None, keyed: DataFrame, records: DataFrame, decided: DataFrame
) -> dict[str, list[PartFile]]:
    """Write what a later run needs of this one's documents."""
    keys = keyed.groupBy("key").agg(F.min("node").alias("node"))
    if known:
        keys = keys.join(known.keys(keyed).select("key"), "key", "left_anti")
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
    """Write the documents of earlier runs that are decided otherwise than they were."""
    old = before.select(
        "node", F.col("reason").alias("reason_before"), F.col("kept_id").alias("kept_before")
    )
    beside = decided.where(F.col("part") == OLD).join(old, "node", "left")
    same = F.col("reason").eqNullSafe(F.col("reason_before"))
    same &= F.col("kept_id").eqNullSafe(F.col("kept_before"))
    changed = beside.where(~same).withColumn("part", F.lit(0)).select("part", *CLUSTERS.names)
    return tables.write_by_part(changed, run.target("revisions"), CLUSTERS)


def count(run: Run, files: list[PartFile]) -> Result:
    """Count what was written, by reason."""
    folder = run.target("clusters")
    result = run.map([storage.join(folder, file.name) for file in files], _reasons)
    documents = result.counts.setdefault("documents", Count())
    documents.entered = run.manifest("fingerprints").rows
    documents.kept = documents.entered - sum(documents.rejected.values())
    result.files["clusters"] = files
    return result


def _reasons(path: str) -> Result:
    gone = Count()
    for reason in storage.read_parquet(path, ["reason"])["reason"].to_pylist():
        gone.reject(reason)
    return Result(counts={"documents": gone})


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
