"""All that deduplication drops: clustered documents, repeated lines and images, image sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs import graph, tables
from jobs.job import Result, Run, Stage, write_part
from jobs.tables import Meeting
from pipeline import storage
from pipeline.deduplication import candidates, repeats
from pipeline.deduplication.clusters import CLUSTERS, Judge, keep_rank
from pipeline.deduplication.repeats import COUNTED, REPEATED, Repeated, Rule
from pipeline.manifest import Count, Counts, PartFile
from pipeline.schema import DUPLICATES
from pipeline.settings.deduplicate import DeduplicateSettings

Batches = Iterator[pa.RecordBatch]
Task = tuple[int, str]  # a part, and its files one a line: fingerprints, clusters, repeated, sets
BATCH_ROWS = 10_000
SETS = pa.schema(
    [
        ("group", pa.int64()),
        ("node", pa.binary()),
        ("part", pa.int32()),
        ("rank", pa.binary()),
        ("signature", pa.binary()),
    ]
)


def run(run: Run) -> Result:
    """Count repeats over the documents that clusters leave, then image sets, then write."""
    settings, target = run.config.deduplicate, run.target("duplicates")
    clusters = run.paths("clusters")
    tasks = [
        (part, "\n".join([path, clusters.get(part, "")]))
        for part, path in sorted(run.paths("fingerprints").items())
    ]
    repeated, sets = storage.join(target, "repeated"), storage.join(target, "sets")
    chosen = repeats.rules(settings)
    files = find_repeated(run, tasks, chosen, repeated) if chosen else []
    tasks = _also(tasks, repeated, files)
    files = find_image_sets(run, tasks, sets) if settings.image_sets.enabled else []
    tasks = _also(tasks, sets, files)
    result = run.map(tasks, _write(target, chosen))
    storage.delete_folder(repeated)
    storage.delete_folder(sets)
    return result


def _also(tasks: list[Task], folder: str, files: list[PartFile]) -> list[Task]:
    """Add one more file to each part's task: the part's own, or none."""
    paths = {file.part: storage.join(folder, file.name) for file in files}
    return [(part, f"{text}\n{paths.get(part, '')}") for part, text in tasks]


def find_repeated(run: Run, tasks: list[Task], chosen: list[Rule], folder: str) -> list[PartFile]:
    """Write each part's repeated keys.

    Parts count their own documents first, so a key shuffles once a part however often it occurs:
    a host of a million pages weighs no more than its parts.
    """

    def read(part: int, text: str) -> Batches:
        batches = [batch for batch, _ in survivors(text, repeats.COLUMNS)]
        yield from repeats.count(batches, part, chosen).to_batches()

    meeting = Meeting.of(run, "fingerprints")
    counted = meeting.gather(tables.frame(run, tasks, read, COUNTED))
    total = F.sum("count").over(Window.partitionBy("key"))
    repeated = counted.withColumn("total", total).where("total >= bound")
    chosen_columns = repeated.select("part", *REPEATED.names)
    return tables.write_by_part(chosen_columns, folder, REPEATED, meeting=meeting)


def find_image_sets(run: Run, tasks: list[Task], folder: str) -> list[PartFile]:
    """Write the documents that repeat another's set of images."""
    settings = run.config.deduplicate
    meeting = Meeting.of(run, "fingerprints")
    rows = meeting.gather(tables.frame(run, tasks, _read_sets(settings), SETS))
    size = F.count(F.lit(1)).over(Window.partitionBy("group"))
    members = rows.withColumn("size", size).where("size > 1").drop("size")
    judge = Judge(
        (), settings.image_sets.min_similarity, settings.max_leaders, "duplicate.image_set"
    )
    decisions = graph.decide(members, judge, run.config.fingerprint.slots, meeting)
    return tables.write_by_part(decisions, folder, CLUSTERS, meeting=meeting)


def _read_sets(settings: DeduplicateSettings) -> Callable[[int, str], Batches]:
    chosen = repeats.rules(settings)
    least = settings.image_sets.min_images
    columns = ["node", "images", "words", "signature", *repeats.COLUMNS]

    def read(part: int, text: str) -> Batches:
        for batch, repeated in survivors(text, columns):
            dropped = repeats.dropped_nodes(batch, repeated, chosen)
            keys, enough = repeats.image_sets(batch, dropped, least)
            facts = (batch[name].to_pylist() for name in ("images", "words", "node"))
            ranks = [keep_rank(settings.keep, *fact) for fact in zip(*facts, strict=True)]
            parts = np.full(len(batch), part, np.int32)
            blank = batch["signature"].fill_null(b"")
            if settings.image_sets.min_similarity:
                enough &= batch["signature"].is_valid().to_numpy(False)
            rows = [keys, batch["node"], parts, pa.array(ranks, pa.binary()), blank]
            yield pa.RecordBatch.from_arrays(list(map(pa.array, rows)), schema=SETS).filter(
                pa.array(enough)
            )

    return read


def survivors(text: str, columns: list[str]) -> Iterator[tuple[pa.RecordBatch, Repeated]]:
    """Fingerprints of the documents that clusters leave, and the part's repeated keys so far."""
    path, clusters, *rest = text.split("\n")
    gone = pa.array(_rows(clusters), pa.string())
    repeated = _repeated(rest[0] if rest else "")
    for batch in candidates.clean(path, ["doc_id", *columns]):
        yield batch.filter(pc.invert(pc.is_in(batch["doc_id"], gone))), repeated


def _repeated(path: str) -> Repeated:
    return Repeated.of(storage.read_parquet(path) if path else REPEATED.empty_table())


def _rows(path: str) -> dict[str, dict[str, Any]]:
    """Rows of a file of CLUSTERS by document; none when there is no file."""
    rows = storage.read_parquet(path).to_pylist() if path else []
    return {row["doc_id"]: row for row in rows}


def _write(target: str, chosen: list[Rule]) -> Callable[[Task], Result]:
    def work(task: Task) -> Result:
        part, text = task
        path, clusters, repeated, sets = text.split("\n")
        gone, keys = _rows(clusters) | _rows(sets), _repeated(repeated)
        counts = {unit: Count() for unit in ("documents", "nodes", "images")}

        def batches() -> Batches:
            columns = ["doc_id", "contamination", *repeats.COLUMNS]
            for batch in storage.iter_parquet(path, columns, BATCH_ROWS):
                dropped = repeats.dropped_nodes(batch, keys, chosen)
                yield _verdicts(batch, dropped, gone, counts)

        return Result({"duplicates": [write_part(target, part, DUPLICATES, batches())]}, counts)

    return work


def _verdicts(
    batch: pa.RecordBatch,
    dropped: pa.ListArray,
    gone: Mapping[str, Mapping[str, Any]],
    counts: Counts,
) -> pa.RecordBatch:
    """Rows of DUPLICATES for a batch of fingerprints, and what they add to the counts."""
    names, nodes = batch["doc_id"].to_pylist(), dropped.to_pylist()
    texts = pc.list_value_length(batch["text_nodes"]).to_pylist()
    images = pc.list_value_length(batch["image_nodes"]).to_pylist()
    items = batch["contamination"].to_pylist()
    rows = []
    for name, item, out, text, image in zip(names, items, nodes, texts, images, strict=True):
        row = gone.get(name)
        if item:
            reason = f"contamination.{item['set']}"
            row = {"doc_id": name, "reason": reason, "detail": item["item"]}
        by_unit = {"documents": 1, "nodes": text, "images": image}
        reasons = Counter() if row else Counter(verdict["reason"] for verdict in out)
        for unit, number in by_unit.items():
            counts[unit].entered += number
            if row and number:
                counts[unit].reject(row["reason"], number)
        for reason, number in reasons.items():
            unit = "images" if reason == repeats.IMAGE else "nodes"
            counts[unit].reject(reason, number)
        if row or out:
            rows.append({**(row or {"doc_id": name}), "dropped": [] if row else out})
    for count in counts.values():
        count.kept = count.entered - sum(count.rejected.values())
    return pa.RecordBatch.from_pylist(rows, DUPLICATES)


STAGE = Stage(
    name="deduplicate",
    reads=("fingerprints", "clusters"),
    writes=("duplicates",),
    sections=("deduplicate", "fingerprint"),
    run=run,
    follows="verdicts",
)
