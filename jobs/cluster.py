"""Fingerprints to clusters: documents that repeat a better one, by exact keys and by MinHash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from jobs import graph, tables
from jobs.job import Result, Run, Stage
from pipeline import storage
from pipeline.clusters import CLUSTERS, EXACT, Judge, Traits, keep_rank
from pipeline.manifest import Count, PartFile
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


def run(run: Run) -> Result:
    """Link documents that share a key, find components, decide in each who stays."""
    settings, slots = run.config.deduplicate, run.config.fingerprint.slots
    exact = exact_keys(settings)
    threshold = settings.minhash.verify_jaccard if settings.minhash.enabled else None
    tasks = sorted(run.paths("fingerprints").items())
    keyed = tables.frame(run, tasks, _read_keys(exact, threshold is not None), KEYED)
    records = tables.frame(run, tasks, _read_records(settings.keep), RECORDS)
    candidates = graph.stars(keyed.select("node", F.explode("keys").alias("key")))
    judge = Judge(exact, threshold, settings.max_leaders)
    edges = verify(candidates, records, judge, slots)
    rounds = storage.join(run.target("clusters"), "components")
    labels, number = graph.components(run.spark, edges, rounds)
    everyone = labels.union(labels.select(F.col("label").alias("node"), "label").distinct())
    members = everyone.join(records, "node").withColumnRenamed("label", "group")
    decisions = graph.decide(members, judge, slots)
    files = tables.write_by_part(decisions, run.target("clusters"), CLUSTERS)
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


def verify(candidates: DataFrame, records: DataFrame, judge: Judge, slots: int) -> DataFrame:
    """Keep the links (node, label) whose ends are duplicates by their own keys and signatures."""
    traits = records.select("node", *(name for name, _ in TRAITS))
    others = traits.select(*(F.col(name).alias(f"{name}_other") for name in traits.columns))
    paired = candidates.join(traits, "node").join(others, F.col("label") == F.col("node_other"))

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        for batch in batches:
            ends = (Traits.of(batch, judge.exact, slots, suffix) for suffix in ("", "_other"))
            reasons, _ = judge.compare(*ends)
            yield batch.select(["node", "label"]).filter(pa.array(reasons >= 0))

    return paired.drop("node_other").mapInArrow(work, "node binary, label binary")


def count(run: Run, files: list[PartFile]) -> Result:
    """Count what was written, by reason."""
    entered = run.manifest("fingerprints").rows
    folder = run.target("clusters")
    result = run.map([storage.join(folder, file.name) for file in files], _reasons)
    documents = result.counts.setdefault("documents", Count())
    documents.entered = entered
    documents.kept = entered - sum(documents.rejected.values())
    result.files["clusters"] = files
    return result


def _reasons(path: str) -> Result:
    gone = Count()
    for reason in storage.read_parquet(path, ["reason"])["reason"].to_pylist():
        if reason is not None:
            gone.reject(reason)
    return Result(counts={"documents": gone})


STAGE = Stage(
    name="cluster",
    reads=("fingerprints",),
    writes=("clusters",),
    sections=("deduplicate",),
    run=run,
    follows="verdicts",
)
