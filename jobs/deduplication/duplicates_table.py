"""Write a table of duplicates: nodes in too many documents, documents with equal image sets.

Two stages do this: `deduplicate` by text and URL, `pictures` by the fetched images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Window
from pyspark.sql import functions as F

from benben.jobs.deduplication.groups import find_duplicates
from benben.jobs.engine import tables
from benben.jobs.engine.stage import Result, Run
from benben.jobs.engine.tables import Batches, ShufflePlan
from benben.pipeline import storage
from benben.pipeline.deduplication import clusters, repeated_nodes
from benben.pipeline.deduplication.clusters import CLUSTERS, DuplicateTest, keep_ranks
from benben.pipeline.deduplication.repeated_nodes import (
    COUNTED,
    REPEATED,
    ImageSetRule,
    NodeRule,
    RepeatedKeys,
)
from benben.pipeline.manifest import Count, Counts, PartFile, write_part
from benben.pipeline.schema import DUPLICATES

# What a stage reads of a part: its fingerprints, and two files of the stage's own (None: no file).
PartInputs = tuple[str, str | None, str | None]
DroppedDocuments = Mapping[str, Mapping[str, Any]]  # doc_id -> row of DUPLICATES
BATCH_ROWS = 10_000
# Columns of fingerprints that are read.
COLUMNS = ["doc_id", "contamination", "signature", *clusters.RANKED, *repeated_nodes.COLUMNS]
IMAGE_SETS = pa.schema(
    [
        ("group", pa.int64()),
        ("node", pa.binary()),
        ("part", pa.int32()),
        ("rank", pa.binary()),
        ("signature", pa.binary()),
    ]
)


@dataclass(frozen=True)
class DuplicateSearch:
    """What a stage searches for, and in which documents.

    `read` yields the fingerprints of a part's documents that enter the stage, with the rows of
    those that are dropped already; these are not counted.
    """

    read: Callable[[PartInputs], Iterator[tuple[pa.RecordBatch, DroppedDocuments]]]
    rules: Sequence[NodeRule]
    image_sets: ImageSetRule | None
    units: Mapping[str, str]  # what is counted besides documents: unit -> column of nodes

    def remaining(self, inputs: PartInputs) -> Batches:
        """Read the fingerprints of documents that are not dropped already."""
        for batch, dropped in self.read(inputs):
            names = pa.array(dropped, pa.string())
            yield batch.filter(pc.invert(pc.is_in(batch["doc_id"], names)))


def write_duplicates(
    run: Run, inputs: Mapping[int, PartInputs], search: DuplicateSearch, table: str
) -> Result:
    """Count nodes, compare image sets, and write what is dropped: DUPLICATES."""
    target = run.target(table)
    node_folder, set_folder = storage.join(target, "repeated"), storage.join(target, "sets")
    nodes: dict[int, str] = {}
    if search.rules:
        nodes = paths_by_part(node_folder, find_repeated_nodes(run, inputs, search, node_folder))
    sets: dict[int, str] = {}
    if search.image_sets:
        found = find_image_sets(run, inputs, nodes, search, search.image_sets, set_folder)
        sets = paths_by_part(set_folder, found)
    tasks = [(part, files, nodes.get(part), sets.get(part)) for part, files in inputs.items()]
    result = run.map(tasks, _writer(search, table, target))
    for folder in (node_folder, set_folder):
        storage.delete_folder(folder)
    return result


def paths_by_part(folder: str, files: Sequence[PartFile]) -> dict[int, str]:
    """Map parts to the paths of their files."""
    return {file.part: storage.join(folder, file.name) for file in files}


def find_repeated_nodes(
    run: Run, inputs: Mapping[int, PartInputs], search: DuplicateSearch, folder: str
) -> list[PartFile]:
    """Write the keys of each part's nodes that are in too many documents: REPEATED.

    Each part counts its own documents first, so that it shuffles a key once however often the key
    occurs: a host of a million pages costs no more than one row per part and key.
    """

    def read(part: int, files: PartInputs) -> Batches:
        batches = list(search.remaining(files))
        yield from repeated_nodes.count_documents(batches, part, search.rules).to_batches()

    plan = ShufflePlan.of(run, "fingerprints")
    counted = tables.frame(run.spark, list(inputs.items()), read, COUNTED, plan)
    total = F.sum("count").over(Window.partitionBy("key"))
    repeated = counted.withColumn("total", total).where("total >= bound")
    rows = repeated.select("part", *REPEATED.names)
    return tables.write_by_part(rows, folder, REPEATED, plan=plan)


def find_image_sets(
    run: Run,
    inputs: Mapping[int, PartInputs],
    repeated: Mapping[int, str],
    search: DuplicateSearch,
    rule: ImageSetRule,
    folder: str,
) -> list[PartFile]:
    """Write the documents whose set of images is that of a kept document: CLUSTERS."""
    settings = run.config.deduplicate

    def read(part: int, files: PartInputs, repeated: str | None) -> Batches:
        repeated_keys = _read_keys(repeated)
        for batch in search.remaining(files):
            dropped = repeated_nodes.dropped_nodes(batch, repeated_keys, search.rules)
            keys, enough = repeated_nodes.image_sets(batch, dropped, rule)
            if rule.min_similarity:
                enough &= batch["signature"].is_valid().to_numpy(False)
            columns = {
                "group": keys,
                "node": batch["node"],
                "part": np.full(len(batch), part, np.int32),
                "rank": keep_ranks(settings.keep, batch),
                "signature": batch["signature"].fill_null(b""),
            }
            yield pa.RecordBatch.from_pydict(columns, IMAGE_SETS).filter(pa.array(enough))

    plan = ShufflePlan.of(run, "fingerprints")
    tasks = [(part, files, repeated.get(part)) for part, files in inputs.items()]
    rows = tables.frame(run.spark, tasks, read, IMAGE_SETS, plan)
    size = F.count(F.lit(1)).over(Window.partitionBy("group"))
    members = rows.withColumn("size", size).where("size > 1").drop("size")
    test = DuplicateTest((), rule.min_similarity, settings.max_leaders, rule.reason)
    decisions = find_duplicates(members, test, run.config.fingerprint.slots, plan)
    return tables.write_by_part(decisions, folder, CLUSTERS, plan=plan)


def rows_by_document(path: str | None) -> dict[str, dict[str, Any]]:
    """Map the documents of a file of CLUSTERS to their rows; empty if there is no file."""
    rows = storage.read_parquet(path).to_pylist() if path else []
    return {row["doc_id"]: row for row in rows}


def contamination_row(doc_id: str, item: Mapping[str, str]) -> dict[str, str]:
    """Make the row of a document that contains a benchmark item."""
    return {"doc_id": doc_id, "reason": f"contamination.{item['set']}", "detail": item["item"]}


def _read_keys(path: str | None) -> RepeatedKeys:
    return RepeatedKeys.of(storage.read_parquet(path) if path else REPEATED.empty_table())


def _writer(
    search: DuplicateSearch, table: str, target: str
) -> Callable[[tuple[int, PartInputs, str | None, str | None]], Result]:
    def work(task: tuple[int, PartInputs, str | None, str | None]) -> Result:
        part, files, repeated, sets = task
        keys, equal_sets = _read_keys(repeated), rows_by_document(sets)
        counts = {unit: Count() for unit in ("documents", *search.units)}

        def batches() -> Batches:
            for batch, dropped in search.read(files):
                nodes = repeated_nodes.dropped_nodes(batch, keys, search.rules)
                yield _rows(batch, nodes, {**equal_sets, **dropped}, search, counts)

        return Result({table: [write_part(target, part, DUPLICATES, batches())]}, counts)

    return work


def _rows(
    batch: pa.RecordBatch,
    dropped_nodes: pa.ListArray,
    dropped: DroppedDocuments,
    search: DuplicateSearch,
    counts: Counts,
) -> pa.RecordBatch:
    """Make the rows of DUPLICATES for a batch of fingerprints, and update the counts."""
    names, nodes = batch["doc_id"].to_pylist(), dropped_nodes.to_pylist()
    sizes = {
        unit: pc.list_value_length(batch[column]).to_pylist()
        for unit, column in search.units.items()
    }
    units = {rule.reason: rule.unit for rule in search.rules}
    rows = []
    for number, (name, verdicts) in enumerate(zip(names, nodes, strict=True)):
        row = dropped.get(name)
        by_unit = {"documents": 1} | {unit: size[number] for unit, size in sizes.items()}
        for unit, size in by_unit.items():
            counts[unit].entered += size
            if row and size:
                counts[unit].reject(row["reason"], size)
        reasons = Counter() if row else Counter(verdict["reason"] for verdict in verdicts)
        for reason, size in reasons.items():
            counts[units[reason]].reject(reason, size)
        if row or verdicts:
            rows.append({**(row or {"doc_id": name}), "dropped": [] if row else verdicts})
    for count in counts.values():
        count.kept = count.entered - sum(count.rejected.values())
    return pa.RecordBatch.from_pylist(rows, DUPLICATES)
