"""The dataset: kept documents in OBELICS's schema, sorted by id, and the images they show."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from filters import replay
from jobs import cli, tables
from jobs.job import Result, Run, Stage
from pipeline import storage
from pipeline.document import Document
from pipeline.images import stored
from pipeline.images.image_facts import ImageFacts
from pipeline.manifest import Count, PartFile
from pipeline.obelics import general_metadata, to_row
from pipeline.records import from_batch
from pipeline.schema import DATASET, IMAGE_BYTES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BATCH_DOCUMENTS = 1_000
PLACED_ROWS = DATASET.append(pa.field("part", pa.int32()))
WANTED = pa.schema([("sha256", pa.string())])
HELD = pa.schema([("part", pa.int32()), ("sha256", pa.string())])


def assemble(run: Run) -> Result:
    """Write `dataset/data` (documents) and `dataset/images` (bytes, once per sha256)."""
    kept = run.manifest("final_verdicts").counts["documents"].kept
    shards = max(1, -(-kept // run.config.assemble.rows_per_shard))
    rows = tables.write_by_part(
        shipped_rows(run, shards),
        run.target("dataset"),
        DATASET,
        order="doc_id",
        name=lambda shard: f"data/train-{shard:05d}-of-{shards:05d}.parquet",
    )
    return count(run, rows, ship_images(run, rows))


def shipped_rows(run: Run, shards: int) -> DataFrame:
    """Rows of the dataset with the shard each belongs to, by the leading digits of its id."""
    parts = run.parts("documents", "final_verdicts", "image_uses")
    paths = {part.number: dict(part.paths) for part in parts}

    def read(part: int, _: str) -> tables.Batches:
        facts = ImageFacts.read(paths[part].get("image_uses"))
        for documents, verdicts in storage.iter_aligned(
            [paths[part][name] for name in ("documents", "final_verdicts")],
            [None, ["kept", "lang", "dropped"]],
            BATCH_DOCUMENTS,
        ):
            chosen = verdicts["kept"]
            yield dataset_rows(documents.filter(chosen), verdicts.filter(chosen), facts, shards)

    tasks = [(part.number, "") for part in parts]
    return tables.frame(run, tasks, read, PLACED_ROWS)


def dataset_rows(
    documents: pa.RecordBatch, verdicts: pa.RecordBatch, facts: ImageFacts, shards: int
) -> pa.RecordBatch:
    """Lay kept documents out as rows of the dataset."""
    columns: dict[str, list[object]] = {name: [] for name in PLACED_ROWS.names}
    origins = documents.select(["doc_id", "host", "warc", "warc_offset", "warc_length"]).to_pylist()
    losses = verdicts.select(["lang", "dropped"]).to_pylist()
    for document, origin, loss in zip(from_batch(documents), origins, losses, strict=True):
        row = shipped(document, loss["dropped"], facts)
        where = (origin["warc"], origin["warc_offset"], origin["warc_length"])
        for name, value in row.items():
            columns[name].append(value)
        columns["general_metadata"].append(general_metadata(document.url, *where))
        columns["doc_id"].append(origin["doc_id"])
        columns["lang"].append(loss["lang"])
        columns["host"].append(origin["host"])
        columns["part"].append(int(origin["doc_id"][:8], 16) * shards >> 32)
    return pa.RecordBatch.from_pydict(columns, schema=PLACED_ROWS)


def shipped(
    document: Document, dropped: list[dict[str, object]], facts: ImageFacts
) -> dict[str, object]:
    """The parallel lists of one document, replayed from its ledger."""
    nodes = replay.apply(document, dropped)
    known = facts.fetched(node.url for node in nodes if node.url)
    row = to_row(nodes, document.url, known)
    return {
        "images": row.images,
        "texts": row.texts,
        "metadata": json.dumps(row.metadata, ensure_ascii=False),
        "image_sha256": row.sha256,
        "num_images": row.num_images,
        "num_words": row.num_words,
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
    wanted = tables.frame(run, shards, read_wanted, WANTED).distinct()
    held = tables.frame(run, sorted(held_at.items()), read_held, HELD)
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
        shown = Count()
        for batch in storage.iter_parquet(path, ["num_images"]):
            shown.entered += pc.sum(batch["num_images"]).as_py() or 0
        shown.kept = shown.entered
        return Result(counts={"images": shown})

    result = run.map([storage.join(folder, file.name) for file in rows], work, "assemble: count")
    entered = run.manifest("final_verdicts").counts["documents"].kept
    result.counts["documents"] = Count(entered=entered, kept=sum(file.rows for file in rows))
    result.metrics["distinct_images"] = float(sum(file.rows for file in images))
    result.files["dataset"] = rows + images
    return result


STAGE = Stage(
    name="assemble",
    reads=("documents", "final_verdicts", "image_uses", "image_bytes"),
    writes=("dataset",),
    sections=("assemble",),
    run=assemble,
    follows="final_verdicts",
    product=True,
)

if __name__ == "__main__":
    sys.exit(cli.main(["assemble", *sys.argv[1:]]))
