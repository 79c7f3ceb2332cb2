"""The dataset: kept documents in OBELICS's schema, by split, and the images they show.

Shards are ranges of ids, so each is a fair sample of its split; rows of a shard are sorted by
language and host, so that readers which filter by these skip row groups.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from benben.filters import pii, replay, scores
from benben.jobs import cli, tables
from benben.jobs.job import Result, Run, Stage
from benben.jobs.placement import Placement
from benben.pipeline import crawl, storage
from benben.pipeline.document import Document
from benben.pipeline.images import stored
from benben.pipeline.images.image_facts import ImageFacts
from benben.pipeline.manifest import Count, PartFile
from benben.pipeline.obelics import general_metadata, to_row
from benben.pipeline.records import from_batch
from benben.pipeline.schema import DATASET, IMAGE_BYTES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BATCH_DOCUMENTS = 1_000
PLACED_ROWS = DATASET.append(pa.field("part", pa.int32()))
WANTED = pa.schema([("sha256", pa.string())])
HELD = pa.schema([("part", pa.int32()), ("sha256", pa.string())])
COPIED = ("doc_id", "host", "captured_at")  # from `documents`


def assemble(run: Run) -> Result:
    """Write `dataset/data` (documents) and `dataset/images` (bytes, once per sha256)."""
    settings = run.config.assemble
    placed = Placement(run)
    rows = tables.write_by_part(
        shipped_rows(run, placed),
        run.target("dataset"),
        DATASET,
        order=("lang", "host", "doc_id"),
        name=placed.layout.names.__getitem__,
        transform=lambda part, mine: storage.even_batches(mine, settings.row_group_rows),
    )
    return count(run, rows, ship_images(run, rows))


def shipped_rows(run: Run, placed: Placement) -> DataFrame:
    """Rows of the dataset with the shard each belongs to."""
    tables_read = ("documents", "final_verdicts", "signals")
    parts = run.parts(*tables_read, "image_uses")
    paths = {part.number: dict(part.paths) for part in parts}

    def read(part: int, _: str) -> tables.Batches:
        facts = ImageFacts.read(paths[part].get("image_uses"))
        for documents, verdicts, signals in storage.iter_aligned(
            [paths[part][name] for name in tables_read],
            [None, ["kept", "lang", "dropped"], scores.COLUMNS],
            BATCH_DOCUMENTS,
        ):
            chosen = verdicts["kept"]
            scored = scores.scores(signals.filter(chosen), verdicts["dropped"].filter(chosen))
            yield dataset_rows(
                documents.filter(chosen), verdicts.filter(chosen), scored, facts, placed
            )

    tasks = [(part.number, "") for part in parts]
    return tables.frame(run.spark, tasks, read, PLACED_ROWS)


def dataset_rows(
    documents: pa.RecordBatch,
    verdicts: pa.RecordBatch,
    scored: Mapping[str, pa.Array],
    facts: ImageFacts,
    placed: Placement,
) -> pa.RecordBatch:
    """Lay kept documents out as rows of the dataset."""
    columns: dict[str, list[object]] = {name: [] for name in PLACED_ROWS.names}
    origins = documents.select(["warc", "warc_offset", "warc_length", *COPIED]).to_pylist()
    for document, origin, dropped in zip(
        from_batch(documents), origins, verdicts["dropped"].to_pylist(), strict=True
    ):
        row = shipped(document, dropped, facts, placed)
        archive = placed.archives.get(origin["warc"], origin["warc"])
        where = (archive, origin["warc_offset"], origin["warc_length"])
        row |= {name: origin[name] for name in COPIED}
        row["general_metadata"] = general_metadata(document.url, *where)
        row["dump"] = crawl.dump(archive)
        row["part"] = placed.layout.part(placed.splits.of(origin["host"]), origin["doc_id"])
        for name, value in row.items():
            columns[name].append(value)
    return pa.RecordBatch.from_pydict(
        {**columns, "lang": verdicts["lang"], **scored}, schema=PLACED_ROWS
    )


def shipped(
    document: Document,
    dropped: list[dict[str, object]],
    facts: ImageFacts,
    placed: Placement,
) -> dict[str, object]:
    """The parallel lists of one document, replayed from its ledger, and their counts."""
    nodes, redacted = pii.redact_nodes(replay.apply(document, dropped), placed.redact)
    known = facts.fetched(node.url for node in nodes if node.url)
    row = to_row(nodes, document.url, known)
    return {
        "images": row.images,
        "texts": row.texts,
        "metadata": json.dumps(row.metadata, ensure_ascii=False),
        "image_sha256": row.sha256,
        "num_images": row.num_images,
        "num_texts": len(row.own_texts),
        "num_words": row.num_words,
        "num_chars": row.num_chars,
        "num_tokens": row.num_tokens(placed.bytes_per_token),
        "num_redacted": redacted,
        "nsfw": max((fact.nsfw for fact in known.values() if fact.nsfw is not None), default=None),
    }


def ship_images(run: Run, files: list[PartFile]) -> list[PartFile]:
    """Copy the bytes of every image that a shipped document shows."""
    folder = run.target("dataset")
    held_at, table = run.paths("image_bytes"), run.table("image_bytes")

    def read_wanted(_: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["image_sha256"]):
            names = pc.unique(batch["image_sha256"].flatten().drop_null())
            yield pa.RecordBatch.from_arrays([names], schema=WANTED)

    def read_held(part: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["sha256"]):
            yield pa.RecordBatch.from_pydict(
                {"part": [part] * batch.num_rows, "sha256": batch["sha256"]}, HELD
            )

    def copy(part: int, mine: tables.Batches) -> tables.Batches:
        names = pa.concat_arrays([batch["sha256"] for batch in mine])
        yield from stored.read(held_at[part], table, names)

    shards = [(file.part, storage.join(folder, file.name)) for file in files]
    wanted = tables.frame(run.spark, shards, read_wanted, WANTED).distinct()
    held = tables.frame(run.spark, sorted(held_at.items()), read_held, HELD)
    return tables.write_by_part(
        held.join(wanted, "sha256"),
        folder,
        IMAGE_BYTES,
        name=lambda part: f"images/images-{part:05d}.parquet",
        transform=copy,
    )


def count(run: Run, rows: list[PartFile], images: list[PartFile]) -> Result:
    """Count what was written, from the files themselves; images shown, and distinct ones."""
    folder = run.target("dataset")

    def work(path: str) -> Result:
        shown, redacted = Count(), 0
        for batch in storage.iter_parquet(path, ["num_images", "num_redacted"]):
            shown.entered += pc.sum(batch["num_images"]).as_py() or 0
            redacted += pc.sum(batch["num_redacted"]).as_py() or 0
        shown.kept = shown.entered
        return Result(counts={"images": shown}, metrics={"redacted": float(redacted)})

    result = run.map([storage.join(folder, file.name) for file in rows], work, "assemble: count")
    entered = run.manifest("final_verdicts").counts["documents"].kept
    result.counts["documents"] = Count(entered=entered, kept=sum(file.rows for file in rows))
    result.metrics["distinct_images"] = float(sum(file.rows for file in images))
    result.files["dataset"] = rows + images
    return result


STAGE = Stage(
    name="assemble",
    reads=("documents", "signals", "final_verdicts", "image_uses", "image_bytes", "splits"),
    writes=("dataset",),
    sections=("assemble",),
    run=assemble,
    follows="final_verdicts",
    product=True,
)

if __name__ == "__main__":
    sys.exit(cli.main(["assemble", *sys.argv[1:]]))
