"""The table `image_bytes`: where in the shards each distinct image lies, or its bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from benben.jobs.engine import tables
from benben.jobs.engine.stage import Result, Run
from benben.pipeline import storage
from benben.pipeline.images.fetch.part import Rounds, places
from benben.pipeline.images.store import stored, tar_shards
from benben.pipeline.images.store.stored import write_shards
from benben.pipeline.manifest import PartFile
from benben.pipeline.schema import IMAGE_PLACES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
import json
import sys
from dataclasses import asdict
from hashlib import blake2b

from benben.jobs.engine import script
from benben.jobs.engine.stage import Stage, write_part
from benben.pipeline.archive import inputs
from benben.pipeline.images.fetch.fetch_log import Store
from benben.pipeline.images.fetch.journal import VERSION, slot_of, task_of
from benben.pipeline.images.fetch.outcome import owner
from benben.pipeline.images.fetch.part import fetch_part
from benben.pipeline.images.fetch.wanted import MENTIONS, WANTED, WantedFile, mentions
from benben.pipeline.images.processing.archive_image import Shelf
from benben.pipeline.manifest import Count
from benben.pipeline.schema import IMAGES
from benben.pipeline.settings import Config
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.takedown import tombstones, withhold
from benben.pipeline.takedown.tombstones import Tombstones

PLACED = IMAGE_PLACES.append(pa.field("part", pa.int32()))
KEPT = pa.schema([("sha256", pa.string())])


def write_bytes(run: Run, rounds: Rounds, images: list[PartFile]) -> list[PartFile]:
    """Write `image_bytes`: each distinct image in the first part that stored it."""
    target, settings = run.target("image_bytes"), run.config.fetch
    table = run.table("image_bytes")
    mend_shards(run, rounds)
    if settings.store == "webdataset":
        return tables.write_by_part(placed(run, rounds, images), target, IMAGE_PLACES)

    def work(task: tuple[int, str]) -> Result:
        part, path = task
        rows = stored.read(path, table)
        files = write_shards(rows, target, part, rounds.tasks, settings.shard_bytes)
        return Result({"image_bytes": files})

    folder = storage.join(rounds.work, "places")
    storage.delete_folder(folder)
    files = tables.write_by_part(placed(run, rounds, images), folder, IMAGE_PLACES)
    tasks = [(file.part, storage.join(folder, file.name)) for file in files]
    return run.map(tasks, work, "fetch: image bytes").files.get("image_bytes", [])


def mend_shards(run: Run, rounds: Rounds) -> None:
    """End the tar files that killed tasks left open; nobody writes to any of them now."""

    def work(path: str) -> Result:
        tar_shards.mend(path)
        return Result()

    run.map(storage.list_files(rounds.store.shards), work, "fetch: shards")


def placed(run: Run, rounds: Rounds, images: list[PartFile]) -> DataFrame:
    """Rows PLACED: a place of the bytes of each distinct kept image. Raises where one has none."""
    from pyspark.sql import functions as F

    below = rounds.store.shards.rsplit("/", 1)[-1]

    def read_kept(_: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["sha256", "reason"]):
            names = pc.unique(batch["sha256"].filter(pc.is_null(batch["reason"])))
            yield pa.RecordBatch.from_arrays([names], schema=KEPT)

    def read_places(part: int, _: str) -> tables.Batches:
        for batch in places(rounds.store, rounds.range(part)):
            shard = pc.binary_join_element_wise(below, batch["shard"], "/")
            batch = batch.set_column(batch.schema.get_field_index("shard"), "shard", shard)
            yield batch.append_column("part", pa.array([part] * batch.num_rows, pa.int32()))

    def check(batches: Iterable[pa.RecordBatch]) -> tables.Batches:
        for batch in batches:
            if batch["shard"].null_count:
                raise RuntimeError(f"{rounds.store.shards}: a kept image has no bytes here")
            yield batch

    paths = [(file.part, storage.join(run.target("images"), file.name)) for file in images]
    kept = tables.frame(run.spark, paths, read_kept, KEPT).distinct()
    every = [(part, "") for part in range(rounds.tasks)]
    held = tables.frame(run.spark, every, read_places, PLACED).groupBy("sha256")
    first = held.agg(F.min(F.struct("part", "shard", "offset", "num_bytes", "format")).alias("one"))
    rows = kept.join(first, "sha256", "left").select("sha256", "one.*").select(*PLACED.names)
    return tables.in_workers(rows, check, PLACED)


# FOLD-IN Images of kept documents: every distinct URL once, each host owned by one task at a
# time.
#
# What is fetched goes to a journal and to tar shards beside the tables as it comes; a killed job
# goes
# on from there, and `fetch.attempt=2` asks again for what failed in a way that may have passed. The
# tables are made from the journal: `image_bytes` says where in the shards each picture lies, or
# (`fetch.store=parquet`) holds a copy of the bytes.


DEALT = WANTED.append(pa.field("part", pa.int32()))
PACE = {"attempt", "backend", "concurrency", "decode_threads", "hosts", "img2dataset",
        "politeness", "remember", "shard_bytes", "store", "tasks"}  # fmt: skip


def fetch(run: Run) -> Result:
    """Ask for every wanted image, round by round of redirects; then write the tables."""
    settings = run.config.fetch
    work = storage.join(run.table("images"), "work")
    tasks = settings.tasks or run.spark.sparkContext.defaultParallelism
    name = journal_id(settings)
    shards = storage.join(run.table("image_bytes"), f"shards-{name}")
    rounds = Rounds(work, Store(storage.join(work, f"journal-{name}"), shards), tasks)
    requests, entered = wanted_images(run), 0
    for hops in range(settings.limits.redirects + 1):
        folder = storage.join(work, f"round-{hops}")
        storage.delete_folder(folder)
        files = tables.write_by_part(deal(requests, tasks), folder, WANTED)
        if not files:
            break
        entered = entered or sum(file.rows for file in files)
        rounds.files.append({file.part: storage.join(folder, file.name) for file in files})
        if not ask(run, rounds, hops):
            break
        requests = moved(run, rounds, hops)
    result = write_images(run, rounds)
    result.counts.setdefault("images", Count()).entered = entered
    result.files["image_bytes"] = write_bytes(run, rounds, result.files.get("images", []))
    return result


def journal_id(settings: FetchSettings) -> str:
    """Names a journal by the settings that decide outcomes, leaving out those that pace them."""
    key = json.dumps([VERSION, settings.model_dump(mode="json", exclude=PACE)], sort_keys=True)
    return blake2b(key.encode(), digest_size=6).hexdigest()


def wanted_images(run: Run) -> DataFrame:
    """Distinct wanted URLs, with any page's opt-out and any place in the archives."""
    from pyspark.sql import functions as F

    settings = run.config.fetch
    parts = run.parts("documents", "verdicts", "duplicates")
    paths = {part.number: dict(part.paths) for part in parts}

    def read(part: int, _: str) -> tables.Batches:
        return mentions(paths[part], settings)

    said = tables.frame(run.spark, [(part, "") for part in paths], read, MENTIONS)
    found = said.groupBy("url").agg(
        F.max("wanted").alias("wanted"),
        F.max("opt_out").alias("opt_out"),
        F.max(F.struct("warc", "warc_offset", "warc_length")).alias("place"),
    )
    return found.where("wanted").selectExpr(
        "url", "url as target", "0 as hops", "opt_out", "place.*"
    )


def deal(requests: DataFrame, tasks: int) -> DataFrame:
    """Add the owner of each request's host, and the part whose task owns it."""

    def work(batches: Iterable[pa.RecordBatch]) -> tables.Batches:
        for batch in batches:
            targets = batch["target"].to_pylist()
            rows = pa.Table.from_batches([batch]).select(WANTED.names[1:])
            rows = rows.append_column("owner", pa.array(map(owner, targets), pa.string()))
            parts = [task_of(slot_of(target), tasks) for target in targets]
            rows = rows.append_column("part", pa.array(parts, pa.int32()))
            yield from rows.select(DEALT.names).cast(DEALT).to_batches()

    return tables.in_workers(requests, work, DEALT)


def ask(run: Run, rounds: Rounds, hops: int) -> int:
    """Fetch the last round's requests, one task a part; returns how many were redirected away."""
    settings = forewarned(run.config)
    found = inputs.find(run.config.input, run.config.archives) if settings.archives else []
    paths = {archive.url.rsplit("/", 1)[-1]: archive.url for archive in found}
    shelf = Shelf(paths, run.config.archives)

    def work(task: tuple[int, str]) -> Result:
        part, path = task
        fetch_part(WantedFile(path), rounds.store, rounds.range(part), settings, shelf)
        gone = sum(1 for _ in rounds.asked(part, path).moved(hops))
        return Result(metrics={"moved": gone})

    label = f"fetch: round {len(rounds.files)}"
    return int(run.map(sorted(rounds.files[-1].items()), work, label).metrics["moved"])


def forewarned(config: Config) -> FetchSettings:
    """The settings with the tombstones as one more opt-out list, so that nothing is stored."""
    consent = config.fetch.consent
    lists = [*consent.tombstones, *config.takedown.tombstones]
    warned = consent.model_copy(update={"tombstones": lists})
    return config.fetch.model_copy(update={"consent": warned})


def moved(run: Run, rounds: Rounds, hops: int) -> DataFrame:
    """Requests of the last round that were redirected to hosts of another owner."""

    def read(part: int, path: str) -> tables.Batches:
        rows = [asdict(request) for request in rounds.asked(part, path).moved(hops)]
        yield pa.RecordBatch.from_pylist(rows, schema=WANTED)

    return tables.frame(run.spark, sorted(rounds.files[-1].items()), read, WANTED)


def write_images(run: Run, rounds: Rounds) -> Result:
    """Write `images`: a row a distinct URL, in the part that brought it to its end."""
    target = run.target("images")
    lists = run.config.takedown.tombstones

    def work(part: int) -> Result:
        rows = rounds.share(part).images()
        known = Tombstones.load(lists)
        rows = withhold.images(rows, known) if known else rows
        count = Count(kept=rows["reason"].null_count)
        for entry in pc.value_counts(rows["reason"].drop_null()).to_pylist():
            count.reject(entry["values"], entry["counts"])
        metrics = {
            "requests": float(pc.sum(rows["requests"]).as_py() or 0),
            "bytes": float(pc.sum(rows["num_bytes"]).as_py() or 0),
        }
        file = write_part(target, part, IMAGES, rows.to_batches())
        return Result({"images": [file]}, {"images": count}, metrics)

    return run.map(rounds.parts, work, "fetch: images")


STAGE = Stage(
    name="fetch",
    reads=("documents", "verdicts", "duplicates"),
    writes=("images", "image_bytes"),
    sections=("fetch",),
    run=fetch,
    sources=lambda config: tombstones.identities(config.takedown.tombstones),
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.fetch"))
