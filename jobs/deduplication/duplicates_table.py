"""What repeats among a stage's documents: nodes in too many of them, equal sets of images.

Two stages look for it: `deduplicate` by text and URL, `pictures` by what was fetched.
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

from benben.jobs.deduplication import connected_components
from benben.jobs.engine import tables
from benben.jobs.engine.stage import Result, Run, write_part
from benben.jobs.engine.tables import ShufflePlan
from benben.pipeline import storage
from benben.pipeline.deduplication import clusters, repeated_nodes
from benben.pipeline.deduplication.clusters import CLUSTERS, Judge, keep_ranks
from benben.pipeline.deduplication.repeated_nodes import (
    COUNTED,
    REPEATED,
    Repeated,
    Rule,
    SetRule,
)
from benben.pipeline.manifest import Count, Counts, PartFile
from benben.pipeline.schema import DUPLICATES

Batches = Iterator[pa.RecordBatch]
Task = tuple[int, str]  # a part, and its files, one a line
Gone = Mapping[str, Mapping[str, Any]]  # document -> its row of DUPLICATES
BATCH_ROWS = 10_000
# What is read of fingerprints.
COLUMNS = ["doc_id", "contamination", "signature", *clusters.RANKED, *repeated_nodes.COLUMNS]
SETS = pa.schema(
    [
        ("group", pa.int64()),
        ("node", pa.binary()),
        ("part", pa.int32()),
        ("rank", pa.binary()),
        ("signature", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Repeats:
    """What a stage looks for, and where.

    `entering` reads a part's files: fingerprints of the documents that enter the stage, and the
    rows of those it has dropped already, which take no part in the counts.
    """

    entering: Callable[[str], Iterator[tuple[pa.RecordBatch, Gone]]]
    rules: Sequence[Rule]
    sets: SetRule | None
    units: Mapping[str, str]  # counted besides documents: unit -> column of nodes

    def left(self, files: str) -> Batches:
        """Documents that are not dropped yet."""
        for batch, gone in self.entering(files):
            names = pa.array(gone, pa.string())
            yield batch.filter(pc.invert(pc.is_in(batch["doc_id"], names)))


def write(run: Run, tasks: list[Task], chosen: Repeats, table: str) -> Result:
    """Count nodes, then compare image sets, then write what goes: DUPLICATES."""
    target = run.target(table)
    folders = repeated, sets = [storage.join(target, name) for name in ("repeated", "sets")]
    files = find_repeated(run, tasks, chosen, repeated) if chosen.rules else []
    tasks = also(tasks, repeated, files)
    files = find_sets(run, tasks, chosen, sets) if chosen.sets else []
    tasks = also(tasks, sets, files)
    result = run.map(tasks, _writer(chosen, table, target))
    for folder in folders:
        storage.delete_folder(folder)
    return result


def also(tasks: list[Task], folder: str, files: list[PartFile]) -> list[Task]:
    """Add one more file to each part's task: the part's own, or none."""
    paths = {file.part: storage.join(folder, file.name) for file in files}
    return [(part, f"{text}\n{paths.get(part, '')}") for part, text in tasks]


def find_repeated(run: Run, tasks: list[Task], chosen: Repeats, folder: str) -> list[PartFile]:
    """Write each part's repeated keys.

    Parts count their own documents first, so a key shuffles once a part however often it occurs:
    a host of a million pages weighs no more than its parts.
    """

    def read(part: int, files: str) -> Batches:
        yield from repeated_nodes.count(list(chosen.left(files)), part, chosen.rules).to_batches()

    plan = ShufflePlan.of(run, "fingerprints")
    counted = tables.frame(run.spark, tasks, read, COUNTED, plan)
    total = F.sum("count").over(Window.partitionBy("key"))
    repeated = counted.withColumn("total", total).where("total >= bound")
    rows = repeated.select("part", *REPEATED.names)
    return tables.write_by_part(rows, folder, REPEATED, plan=plan)


def find_sets(run: Run, tasks: list[Task], chosen: Repeats, folder: str) -> list[PartFile]:
    """Write the documents that repeat another's set of images."""
    settings, rule = run.config.deduplicate, chosen.sets
    assert rule is not None

    def read(part: int, text: str) -> Batches:
        files, _, repeated = text.rpartition("\n")
        for batch in chosen.left(files):
            dropped = repeated_nodes.dropped_nodes(batch, _repeated(repeated), chosen.rules)
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
            yield pa.RecordBatch.from_pydict(columns, SETS).filter(pa.array(enough))

    plan = ShufflePlan.of(run, "fingerprints")
    rows = tables.frame(run.spark, tasks, read, SETS, plan)
    size = F.count(F.lit(1)).over(Window.partitionBy("group"))
    members = rows.withColumn("size", size).where("size > 1").drop("size")
    judge = Judge((), rule.min_similarity, settings.max_leaders, rule.reason)
    decisions = connected_components.decide(members, judge, run.config.fingerprint.slots, plan)
    return tables.write_by_part(decisions, folder, CLUSTERS, plan=plan)


def rows_by_document(path: str) -> dict[str, dict[str, Any]]:
    """Rows of a file of CLUSTERS by document; none when there is no file."""
    rows = storage.read_parquet(path).to_pylist() if path else []
    return {row["doc_id"]: row for row in rows}


def contaminated(name: str, item: Mapping[str, str]) -> dict[str, str]:
    """Row of a document that contains an item of a benchmark set."""
    return {"doc_id": name, "reason": f"contamination.{item['set']}", "detail": item["item"]}


def _repeated(path: str) -> Repeated:
    return Repeated.of(storage.read_parquet(path) if path else REPEATED.empty_table())


def _writer(chosen: Repeats, table: str, target: str) -> Callable[[Task], Result]:
    def work(task: Task) -> Result:
        part, text = task
        files, repeated, sets = text.rsplit("\n", 2)
        keys, equal = _repeated(repeated), rows_by_document(sets)
        counts = {unit: Count() for unit in ("documents", *chosen.units)}

        def batches() -> Batches:
            for batch, gone in chosen.entering(files):
                dropped = repeated_nodes.dropped_nodes(batch, keys, chosen.rules)
                yield _verdicts(batch, dropped, {**equal, **gone}, chosen, counts)

        return Result({table: [write_part(target, part, DUPLICATES, batches())]}, counts)

    return work


def _verdicts(
    batch: pa.RecordBatch, dropped: pa.ListArray, gone: Gone, chosen: Repeats, counts: Counts
) -> pa.RecordBatch:
    """Rows of DUPLICATES for a batch of fingerprints, and what they add to the counts."""
    names, nodes = batch["doc_id"].to_pylist(), dropped.to_pylist()
    sizes = {u: pc.list_value_length(batch[c]).to_pylist() for u, c in chosen.units.items()}
    units = {rule.reason: rule.unit for rule in chosen.rules}
    rows = []
    for number, (name, out) in enumerate(zip(names, nodes, strict=True)):
        row = gone.get(name)
        by_unit = {"documents": 1} | {unit: size[number] for unit, size in sizes.items()}
        for unit, size in by_unit.items():
            counts[unit].entered += size
            if row and size:
                counts[unit].reject(row["reason"], size)
        reasons = Counter() if row else Counter(verdict["reason"] for verdict in out)
        for reason, size in reasons.items():
            counts[units[reason]].reject(reason, size)
        if row or out:
            rows.append({**(row or {"doc_id": name}), "dropped": [] if row else out})
    for count in counts.values():
        count.kept = count.entered - sum(count.rejected.values())
    return pa.RecordBatch.from_pylist(rows, DUPLICATES)
