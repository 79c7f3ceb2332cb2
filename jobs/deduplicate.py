"""All that deduplication drops: clustered documents, repeated lines and images, image sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs import graph, tables
from jobs.job import Result, Run, Stage, part_name, write_part
from pipeline import repeats, storage
from pipeline.clusters import Judge, keep_rank
from pipeline.manifest import Count, PartFile
from pipeline.repeats import COUNTED, REPEATED, Repeated, Rule
from pipeline.schema import CLUSTERS, DUPLICATES, FINGERPRINTS
from pipeline.settings.deduplicate import DeduplicateSettings

Batches = Iterator[pa.RecordBatch]
SETS = pa.schema(
    [
        ("group", pa.int64()),
        ("node", pa.binary()),
        ("part", pa.int32()),
        ("rank", pa.binary()),
        ("signature", pa.binary()),
    ]
)
PAIRS = "images", "text_nodes"


def run(run: Run) -> Result:
    """Count repeats over the documents that clusters leave, then image sets, then write."""
    settings, slots = run.config.deduplicate, run.config.fingerprint.slots
    target = run.target("duplicates")
    parts = sorted(run.paths("fingerprints").items())
    clusters = run.paths("clusters")
    tasks = [(part, f"{path}\n{clusters.get(part, '')}") for part, path in parts]
    chosen = repeats.rules(settings)
    repeated = storage.join(target, "repeated")
    find_repeated(run, tasks, chosen, repeated)
    tasks = [(part, f"{text}\n{_if_there(repeated, part)}") for part, text in tasks]
    sets = storage.join(target, "sets")
    if settings.image_sets.enabled:
        find_image_sets(run, tasks, settings, slots, sets)
    work = partial(_write, target=target, chosen=chosen)
    result = run.map([(part, f"{text}\n{_if_there(sets, part)}") for part, text in tasks], work)
    storage.delete_folder(repeated)
    storage.delete_folder(sets)
    return result


def find_repeated(
    run: Run, tasks: list[tuple[int, str]], chosen: list[Rule], folder: str
) -> list[PartFile]:
    """Write each part's repeated keys.

    Parts count their own documents first, so a key shuffles once a part however often it occurs:
    a host of a million pages weighs no more than its parts.
    """

    def read(part: int, text: str) -> Batches:
        batches = [batch for batch, _, _ in survivors(text, repeats.COLUMNS)]
        yield from repeats.count(batches, part, chosen).to_batches()

    counted = tables.frame(run, tasks, read, COUNTED)
    total = F.sum("count").over(Window.partitionBy("key"))
    repeated = counted.withColumn("total", total).where("total >= bound")
    return tables.write_by_part(repeated.select("part", *REPEATED.names), folder, REPEATED)


def find_image_sets(
    run: Run,
    tasks: list[tuple[int, str]],
    settings: DeduplicateSettings,
    slots: int,
    folder: str,
) -> list[PartFile]:
    """Write the documents that repeat another's set of images."""
    rows = tables.frame(run, tasks, _read_sets(settings), SETS)
    size = F.count(F.lit(1)).over(Window.partitionBy("group"))
    members = rows.withColumn("size", size).where("size > 1").drop("size")
    judge = Judge((), settings.image_sets.min_similarity, "duplicate.image_set", settings.leaders)
    return tables.write_by_part(graph.decide(members, judge, slots), folder, CLUSTERS)


def _read_sets(settings: DeduplicateSettings) -> Callable[[int, str], Batches]:
    chosen = repeats.rules(settings)
    least = settings.image_sets.min_images
    columns = ["node", "images", "words", "signature", *repeats.COLUMNS]

    def read(part: int, text: str) -> Batches:
        for batch, repeated, _ in survivors(text, columns):
            dropped = repeats.dropped_nodes(batch, repeated, chosen)
            keys, enough = repeats.image_sets(batch, dropped, least)
            facts = (batch[name].to_pylist() for name in ("images", "words", "node"))
            ranks = [keep_rank(settings.keep, *fact) for fact in zip(*facts, strict=True)]
            parts = np.full(len(batch), part, np.int32)
            blank = batch["signature"].fill_null(b"")
            rows = [keys, batch["node"], parts, pa.array(ranks, pa.binary()), blank]
            yield pa.RecordBatch.from_arrays(list(map(pa.array, rows)), schema=SETS).filter(
                pa.array(enough)
            )

    return read


def survivors(
    text: str, columns: list[str]
) -> Iterator[tuple[pa.RecordBatch, Repeated, dict[str, dict[str, object]]]]:
    """Fingerprints of documents that clusters leave, and the part's repeated keys.

    `text` names the part's files, one a line: fingerprints, clusters, repeated, ...
    """
    path, clusters, *rest = text.split("\n")
    gone = pa.array(_column(clusters, "doc_id"), pa.string())
    found = storage.read_parquet(rest[0]) if rest and rest[0] else REPEATED.empty_table()
    repeated = Repeated.of(found)
    for batch in storage.iter_parquet(path, ["doc_id", *columns], 10_000):
        yield batch.filter(pc.invert(pc.is_in(batch["doc_id"], gone))), repeated, {}


def _column(path: str, name: str) -> list[object]:
    return storage.read_parquet(path, [name])[name].to_pylist() if path else []


def _if_there(folder: str, part: int) -> str:
    path = storage.join(folder, part_name(part))
    return path if storage.exists(path) else ""
