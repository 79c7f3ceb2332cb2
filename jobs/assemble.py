"""The dataset: kept documents in OBELICS's schema, by split, and the images they show.

Shards are ranges of document ids, so each is a fair sample of its split. Rows of a shard are sorted
by language and host, so that readers which filter by these can skip row groups.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from benben.filters.shipped import SCORE_COLUMNS, kept_nodes, scores
from benben.filters.signals import pii
from benben.jobs.engine import script, tables
from benben.jobs.engine.stage import Part, Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.dataset import shard_layout, shipped_files
from benben.pipeline.dataset.obelics import crawl_name, crawl_paths, general_metadata, to_row
from benben.pipeline.dataset.shard_layout import ShardLayout
from benben.pipeline.dataset.splits import Splits
from benben.pipeline.document import Document, from_batch
from benben.pipeline.images.image_facts import DISABLED, ImageFacts, url_key
from benben.pipeline.images.store import stored
from benben.pipeline.manifest import Count, PartFile
from benben.pipeline.schema import DATASET, IMAGE_BYTES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BATCH_DOCUMENTS = 1_000
PLACED_ROWS = DATASET.append(pa.field("part", pa.int32()))  # the shard, as a number
SHIPPED = pa.schema([("split", pa.string()), ("bucket", pa.int32())])
WANTED = pa.schema([("sha256", pa.string())])
SHOWN = pa.schema([("key", pa.binary()), ("url", pa.string())])
REFUSED = pa.schema([("key", pa.binary()), ("reason", pa.string())])
STORED = pa.schema([("part", pa.int32()), ("sha256", pa.string())])
COPIED = ("doc_id", "host", "captured_at")  # from `documents`


class Placement:
    """What decides where a row goes and what its archive is called; sent to the tasks."""

    def __init__(self, run: Run) -> None:
        self.splits = Splits.read(run.paths("splits").values())
        self.layout = ShardLayout(_counts(run, self.splits), run.config.assemble.rows_per_shard)
        self.archives = crawl_paths(archive_urls(run))
        self.bytes_per_token = run.config.assemble.bytes_per_token
        self.redact = run.config.assemble.redact
        self.markdown = run.config.assemble.text == "markdown"


def assemble(run: Run) -> Result:
    """Write `dataset/data` (documents) and `dataset/images` (bytes, once for each sha256)."""
    settings = run.config.assemble
    placed = Placement(run)
    rows = tables.write_by_part(
        shipped_rows(run, placed),
        run.target("dataset"),
        shipped_files.with_features(DATASET),
        order=("lang", "host", "doc_id"),
        name=placed.layout.names.__getitem__,
        transform=lambda part, mine: storage.even_batches(mine, settings.row_group_rows),
        options=shipped_files.options(DATASET),
    )
    check_shown(run, rows)
    return count(run, rows, ship_images(run, rows))


def archive_urls(run: Run) -> list[str]:
    """Return the archives that the documents were read from."""
    if run.config.index is None:
        return [archive.url for archive in run.archives]
    names: set[str] = set()
    for path in run.paths("captures").values():
        for batch in storage.iter_parquet(path, ["archive"], 100_000):
            names.update(batch["archive"].unique().to_pylist())
    return sorted(names)


def _counts(run: Run, splits: Splits) -> Iterator[tuple[str, int, int]]:
    """Count the rows that ship, by split and bucket of ids."""

    def read(part: Part) -> tables.Batches:
        paths = [part.paths[name] for name in ("documents", "final_verdicts")]
        names: list[list[str] | None] = [["doc_id", "host"], ["kept"]]
        for documents, verdicts in storage.iter_aligned(paths, names, 10_000):
            chosen = documents.filter(verdicts["kept"])
            held_out = [splits.of(host) for host in chosen["host"].to_pylist()]
            buckets = map(shard_layout.bucket, chosen["doc_id"].to_pylist())
            columns = {"split": held_out, "bucket": list(buckets)}
            yield pa.RecordBatch.from_pydict(columns, SHIPPED)

    tasks = [(part,) for part in run.parts("documents", "final_verdicts")]
    counted = tables.frame(run.spark, tasks, read, SHIPPED).groupBy("split", "bucket").count()
    return ((row["split"], row["bucket"], row["count"]) for row in counted.collect())


def shipped_rows(run: Run, placed: Placement) -> DataFrame:
    """Return the rows of the dataset, with the shard each belongs to."""
    tables_read = ("documents", "final_verdicts", "signals")

    def read(part: Part) -> tables.Batches:
        facts = ImageFacts.read(part.paths.get("image_uses"))
        for documents, verdicts, signals in storage.iter_aligned(
            [part.paths[name] for name in tables_read],
            [None, ["kept", "lang", "dropped"], SCORE_COLUMNS],
            BATCH_DOCUMENTS,
        ):
            chosen = verdicts["kept"]
            scored = scores(signals.filter(chosen), verdicts["dropped"].filter(chosen))
            yield dataset_rows(
                documents.filter(chosen), verdicts.filter(chosen), scored, facts, placed
            )

    tasks = [(part,) for part in run.parts(*tables_read, "image_uses")]
    return tables.frame(run.spark, tasks, read, PLACED_ROWS)


def dataset_rows(
    documents: pa.RecordBatch,
    verdicts: pa.RecordBatch,
    scored: Mapping[str, pa.Array],
    facts: ImageFacts,
    placed: Placement,
) -> pa.RecordBatch:
    """Turn kept documents into rows of the dataset."""
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
        row["dump"] = crawl_name(archive)
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
    """Return the parallel lists of one document without its dropped nodes, and their counts."""
    nodes, redacted = pii.redact_nodes(kept_nodes(document, dropped), placed.redact)
    known = facts.fetched(node.url for node in nodes if node.url)
    row = to_row(nodes, document.url, known, placed.markdown)
    return {
        "images": row.images,
        "texts": row.texts,
        "metadata": json.dumps(row.metadata, ensure_ascii=False),
        "image_sha256": row.sha256,
        "text_metadata": json.dumps(row.nodes, separators=(",", ":")),
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
    stored_at, table = run.paths("image_bytes"), run.table("image_bytes")

    def read_wanted(_: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["image_sha256"]):
            names = pc.unique(batch["image_sha256"].flatten().drop_null())
            yield pa.RecordBatch.from_arrays([names], schema=WANTED)

    def read_stored(part: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["sha256"]):
            yield pa.RecordBatch.from_pydict(
                {"part": [part] * batch.num_rows, "sha256": batch["sha256"]}, STORED
            )

    def copy(part: int, mine: tables.Batches) -> tables.Batches:
        names = pa.concat_arrays([batch["sha256"] for batch in mine])
        yield from shipped_files.image_groups(stored.read(stored_at[part], table, names))

    shards = [(file.part, storage.join(folder, file.name)) for file in files]
    wanted = tables.frame(run.spark, shards, read_wanted, WANTED).distinct()
    stored_images = tables.frame(run.spark, sorted(stored_at.items()), read_stored, STORED)
    return tables.write_by_part(
        stored_images.join(wanted, "sha256"),
        folder,
        shipped_files.with_features(IMAGE_BYTES),
        name=lambda part: f"images/images-{part:05d}.parquet",
        transform=copy,
        options=shipped_files.options(IMAGE_BYTES),
    )


def check_shown(run: Run, files: list[PartFile]) -> None:
    """Look for each shipped image among those that may not be used, whatever kept it before.

    Raises RuntimeError if one of them ships.
    """
    folder = run.target("dataset")

    def read_shown(path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["images"]):
            urls = pc.unique(batch["images"].flatten().drop_null())
            keys = pa.array(map(url_key, urls.to_pylist()), pa.binary())
            yield pa.RecordBatch.from_arrays([keys, urls], schema=SHOWN)

    def read_refused(_: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["url", "reason"]):
            refused = batch.filter(pc.not_equal(batch["reason"], DISABLED))  # null: not refused
            keys = pa.array(map(url_key, refused["url"].to_pylist()), pa.binary())
            yield pa.RecordBatch.from_arrays([keys, refused["reason"]], schema=REFUSED)

    shown = tables.frame(
        run.spark, [(storage.join(folder, file.name),) for file in files], read_shown, SHOWN
    )
    refused = tables.frame(run.spark, sorted(run.paths("images").items()), read_refused, REFUSED)
    for row in shown.join(refused, "key").limit(1).collect():
        raise RuntimeError(f"{row['url']}: an image that was refused ships: {row['reason']}")


def count(run: Run, rows: list[PartFile], images: list[PartFile]) -> Result:
    """Count rows, images, tokens and distinct images, from the files themselves."""
    folder = run.target("dataset")

    def work(path: str) -> Result:
        shown, redacted, tokens = Count(), 0, 0
        for batch in storage.iter_parquet(path, ["num_images", "num_redacted", "num_tokens"]):
            shown.entered += pc.sum(batch["num_images"]).as_py() or 0
            redacted += pc.sum(batch["num_redacted"]).as_py() or 0
            tokens += pc.sum(batch["num_tokens"]).as_py() or 0
        shown.kept = shown.entered
        return Result(
            counts={"images": shown}, metrics={"redacted": float(redacted), "tokens": float(tokens)}
        )

    result = run.map([storage.join(folder, file.name) for file in rows], work, "assemble: count")
    entered = run.manifest("final_verdicts").counts["documents"].kept
    result.counts["documents"] = Count(entered=entered, kept=sum(file.rows for file in rows))
    result.metrics["distinct_images"] = float(sum(file.rows for file in images))
    result.files["dataset"] = rows + images
    return result


STAGE = Stage(
    name="assemble",
    reads=(
        *("documents", "signals", "final_verdicts", "images", "image_uses", "image_bytes"),
        "splits",
    ),
    writes=("dataset",),
    sections=("assemble",),
    run=assemble,
    follows="final_verdicts",
    product=True,
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.assemble"))
