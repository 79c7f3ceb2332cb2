"""Fingerprints to duplicates: documents that repeat a better one, by exact keys and by MinHash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from jobs import graph, tables
from jobs.job import Result, Run, Stage
from pipeline import fingerprint, storage
from pipeline.clusters import EXACT, Cluster, Traits, compare, keep_rank
from pipeline.manifest import Count, PartFile
from pipeline.schema import DUPLICATES
from pipeline.settings.deduplicate import DeduplicateSettings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Batches = Iterator[pa.RecordBatch]
TRAITS = [
    ("url_key", pa.int64()),
    ("payload_key", pa.int64()),
    ("text_key", pa.int64()),
    ("signature", pa.binary()),
]
KEYED = pa.schema([("node", pa.binary()), ("keys", pa.list_(pa.int64()))])
RECORDS = pa.schema([("node", pa.binary()), ("part", pa.int32()), ("rank", pa.binary()), *TRAITS])
DECISIONS = pa.schema(
    [
        ("part", pa.int32()),
        ("doc_id", pa.string()),
        ("reason", pa.string()),
        ("kept_id", pa.string()),
        ("similarity", pa.float32()),
    ]
)


def run(run: Run) -> Result:
    """Link documents that share a key, find components, decide in each who stays."""
    settings, slots = run.config.deduplicate, run.config.fingerprint.slots
    exact = exact_keys(settings)
    threshold = settings.minhash.verify_jaccard if settings.minhash.enabled else None
    tasks = sorted(run.paths("fingerprints").items())
    keyed = tables.frame(run, tasks, _read_keys(exact, threshold is not None), KEYED)
    records = tables.frame(run, tasks, _read_records(settings.keep), RECORDS)
    candidates = graph.stars(keyed.select("node", F.explode("keys").alias("key")))
    edges = verify(candidates, records, exact, threshold, slots)
    rounds = storage.join(run.target("duplicates"), "components")
    labels, number = graph.components(run.spark, edges, rounds)
    decisions = decide(labels, records, exact, threshold, slots)
    nothing = F.lit(None).cast(tables.spark_schema(DUPLICATES)["dropped"].dataType)
    rows = decisions.withColumn("dropped", nothing)
    files = tables.write_by_part(rows, run.target("duplicates"), DUPLICATES)
    storage.delete_folder(rounds)
    result = count(run, files)
    result.metrics["component_rounds"] = number
    return result


def exact_keys(settings: DeduplicateSettings) -> list[str]:
    """Names of the exact keys in use, in the order their reasons are named."""
    chosen = {"url_key": settings.url, "payload_key": settings.payload, "text_key": settings.text}
    return [name for name in EXACT if chosen[name]]


def _read_keys(exact: list[str], near: bool) -> Callable[[int, str], Batches]:
    """Keys of each document: what it is looked up by, exact ones and bands alike."""

    def read(part: int, path: str) -> Batches:
        columns = ["node", *exact, *(["bands"] if near else [])]
        for batch in storage.iter_parquet(path, columns, 10_000):
            found = [(batch[name].is_valid(), batch[name].drop_null()) for name in exact]
            if near:
                found.append((pc.list_value_length(batch["bands"]), batch["bands"].flatten()))
            yield pa.RecordBatch.from_arrays([batch["node"], _side_by_side(found)], schema=KEYED)

    return read


def _side_by_side(found: list[tuple[pa.Array, pa.Array]]) -> pa.ListArray:
    """One list a row of what several columns hold, given each one's counts and values."""
    counts = np.array([column.cast(pa.int64()).to_numpy() for column, _ in found])
    owners = [np.repeat(np.arange(counts.shape[1]), column) for column in counts]
    order = np.argsort(np.concatenate(owners), kind="stable")
    values = np.concatenate([values.to_numpy() for _, values in found])[order]
    offsets = np.concatenate(([0], np.cumsum(counts.sum(axis=0)))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def _read_records(keep: Sequence[str]) -> Callable[[int, str], Batches]:
    """What a document is compared and ranked by."""
    names = [name for name, _ in TRAITS]

    def read(part: int, path: str) -> Batches:
        columns = ["node", "images", "words", *names]
        for batch in storage.iter_parquet(path, columns, 10_000):
            facts = (batch[name].to_pylist() for name in ("images", "words", "node"))
            ranks = [keep_rank(keep, *fact) for fact in zip(*facts, strict=True)]
            fixed = {"node": batch["node"], "part": np.full(len(batch), part, np.int32)}
            traits = {name: batch[name] for name in names}
            yield pa.RecordBatch.from_pydict(fixed | {"rank": ranks} | traits, RECORDS)

    return read


def verify(
    candidates: DataFrame,
    records: DataFrame,
    exact: list[str],
    threshold: float | None,
    slots: int,
) -> DataFrame:
    """Keep the links (node, label) whose ends are duplicates by their own keys and signatures."""
    traits = records.select("node", *(name for name, _ in TRAITS))
    others = traits.select(*(F.col(name).alias(f"{name}_other") for name in traits.columns))
    paired = candidates.join(traits, "node").join(others, F.col("label") == F.col("node_other"))

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        for batch in batches:
            ends = Traits.of(batch, slots), Traits.of(batch, slots, "_other")
            reasons, _ = compare(*ends, exact, threshold)
            yield batch.select(["node", "label"]).filter(pa.array(reasons >= 0))

    return paired.drop("node_other").mapInArrow(work, "node binary, label binary")


def decide(
    labels: DataFrame,
    records: DataFrame,
    exact: list[str],
    threshold: float | None,
    slots: int,
) -> DataFrame:
    """Go through each component in keep order; rows for the documents that go."""
    everyone = labels.union(labels.select(F.col("label").alias("node"), "label").distinct())
    ordered = (
        everyone.join(records, "node").repartition("label").sortWithinPartitions("label", "rank")
    )

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        label, cluster = b"", Cluster(exact, threshold)
        for batch in batches:
            traits, nodes = Traits.of(batch, slots), batch["node"].to_pylist()
            rows: list[dict[str, object]] = []
            for start, stop, current in _runs(batch["label"].to_pylist()):
                if current != label:
                    label, cluster = current, Cluster(exact, threshold)
                for row, reason, kept, similar in cluster.add(
                    nodes[start:stop], traits.take(slice(start, stop))
                ):
                    rows.append(
                        {
                            "part": batch["part"][start + row].as_py(),
                            "doc_id": fingerprint.doc_id(nodes[start + row]),
                            "reason": reason,
                            "kept_id": fingerprint.doc_id(kept),
                            "similarity": similar,
                        }
                    )
            yield pa.RecordBatch.from_pylist(rows, DECISIONS)

    return ordered.mapInArrow(work, tables.spark_schema(DECISIONS))


def _runs(labels: list[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Runs of equal labels: start, stop, label."""
    start = 0
    for place in range(1, len(labels) + 1):
        if place == len(labels) or labels[place] != labels[start]:
            yield start, place, labels[start]
            start = place


def count(run: Run, files: list[PartFile]) -> Result:
    """Count what was written, by reason."""
    entered = run.manifest("fingerprints").rows
    folder = run.target("duplicates")
    result = run.map([storage.join(folder, file.name) for file in files], _reasons)
    documents = result.counts.setdefault("documents", Count())
    documents.entered = entered
    documents.kept = entered - sum(documents.rejected.values())
    result.files["duplicates"] = files
    return result


def _reasons(path: str) -> Result:
    gone = Count()
    for reason in storage.read_parquet(path, ["reason"])["reason"].to_pylist():
        if reason is not None:
            gone.reject(reason)
    return Result(counts={"documents": gone})


STAGE = Stage(
    name="deduplicate",
    reads=("fingerprints",),
    writes=("duplicates",),
    sections=("deduplicate",),
    run=run,
    follows="verdicts",
)
