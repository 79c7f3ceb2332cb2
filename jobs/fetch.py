"""Stage `fetch`: the tables `images`, `image_bytes` and `consent`.

Every distinct image URL of kept documents is fetched once, and each host is owned by one task at a
time. Results go to a journal and to tar shards beside the tables as they come: a killed job resumes
from there, and `fetch.attempt=2` requests again what may succeed now. The tables are made from the
journal. `image_bytes` holds where in the shards each image is or, with `fetch.store=parquet`, a
copy of the bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import blake2b
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from benben.jobs.engine import isolation, progress, script, tables
from benben.jobs.engine.stage import Part, Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.consent.page_robots import PageRobots
from benben.pipeline.consent.receipts import page_rows
from benben.pipeline.images.fetch.existing_copies import ArchiveLookup
from benben.pipeline.images.fetch.fetcher import fetch_part
from benben.pipeline.images.fetch.journal import VERSION, FetchFolders, slot_of, task_of
from benben.pipeline.images.fetch.plan import (
    MENTIONS,
    WANTED,
    Rounds,
    WantedFile,
    mentions,
    stored_places,
)
from benben.pipeline.images.fetch.resolver import owner
from benben.pipeline.images.store import stored, tar_shards
from benben.pipeline.manifest import Count, PartFile, write_part
from benben.pipeline.schema import CONSENT, IMAGE_PLACES, IMAGES
from benben.pipeline.settings import Config
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.takedown import apply_tombstones, tombstones
from benben.pipeline.takedown.tombstones import Tombstones

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ASSIGNED = WANTED.append(pa.field("part", pa.int32()))
PLACES = IMAGE_PLACES.append(pa.field("part", pa.int32()))
KEPT = pa.schema([("sha256", pa.string())])
# Settings that change how fast images come, but not their outcomes.
PACING = {"attempt", "backend", "concurrency", "decode_threads", "hosts", "img2dataset",
          "politeness", "remember", "shard_bytes", "store", "tasks"}  # fmt: skip


def fetch(run: Run) -> Result:
    """Request every wanted image, round by round of redirects; then write the tables."""
    settings = run.config.fetch
    work = storage.join(run.table("images"), "work")
    tasks = settings.tasks or run.spark.sparkContext.defaultParallelism
    journal = journal_id(settings)
    shards = storage.join(run.table("image_bytes"), f"shards-{journal}")
    folders = FetchFolders(storage.join(work, f"journal-{journal}"), shards)
    rounds = Rounds(work, folders, tasks)
    wanted, entered = wanted_images(run), 0
    for hops in range(settings.limits.redirects + 1):
        folder = storage.join(work, f"round-{hops}")
        storage.delete_folder(folder)
        requests = assign(wanted, tasks)
        files = tables.write_by_part(requests, folder, WANTED, order=("owner", "url"))
        if not files:
            break
        entered = entered or sum(file.rows for file in files)
        rounds.files.append({file.part: storage.join(folder, file.name) for file in files})
        if not fetch_round(run, rounds, hops, sum(file.rows for file in files)):
            break
        wanted = moved(run, rounds, hops)
    result = write_images(run, rounds)
    result.counts.setdefault("images", Count()).entered = entered
    result.files.setdefault("consent", []).extend(write_page_receipts(run))
    result.files["image_bytes"] = write_bytes(run, rounds, result.files.get("images", []))
    return result


def journal_id(settings: FetchSettings) -> str:
    """Name of the journal of all runs whose settings lead to the same outcomes."""
    key = json.dumps([VERSION, settings.model_dump(mode="json", exclude=PACING)], sort_keys=True)
    return blake2b(key.encode(), digest_size=6).hexdigest()


# The wanted images, and the rounds of requests


def wanted_images(run: Run) -> DataFrame:
    """Distinct wanted URLs, each with the opt-out of any page and its place in the archives."""
    from pyspark.sql import functions as F

    settings = run.config.fetch
    parts = run.parts("documents", "verdicts", "duplicates")
    tasks = [(dict(part.paths),) for part in parts]

    def read(paths: dict[str, str]) -> tables.Batches:
        return mentions(paths, settings)

    mentioned = tables.frame(run.spark, tasks, read, MENTIONS)
    urls = mentioned.groupBy("url").agg(
        F.max("wanted").alias("wanted"),
        F.max("opt_out").alias("opt_out"),
        F.max(F.struct("warc", "warc_offset", "warc_length")).alias("place"),
    )
    return urls.where("wanted").selectExpr(
        "url", "url as target", "0 as hops", "opt_out", "place.*"
    )


def assign(wanted: DataFrame, tasks: int) -> DataFrame:
    """Add the owner of each target's host, and the part whose task owns it."""

    def work(batches: Iterable[pa.RecordBatch]) -> tables.Batches:
        for batch in batches:
            targets = batch["target"].to_pylist()
            rows = pa.Table.from_batches([batch]).select(WANTED.names[1:])
            rows = rows.append_column("owner", pa.array(map(owner, targets), pa.string()))
            parts = [task_of(slot_of(target), tasks) for target in targets]
            rows = rows.append_column("part", pa.array(parts, pa.int32()))
            yield from rows.select(ASSIGNED.names).cast(ASSIGNED).to_batches()

    return tables.in_workers(wanted, work, ASSIGNED)


def fetch_round(run: Run, rounds: Rounds, hops: int, images: int) -> int:
    """Fetch the last round's images, one task a part; return how many another owner must follow."""
    settings = with_tombstones(run.config)
    found = run.archives if settings.archives else []
    paths = {archive.url.rsplit("/", 1)[-1]: archive.url for archive in found}
    archives = ArchiveLookup(paths, run.config.archives)

    def work(task: tuple[int, str]) -> Result:
        part, path = task
        slots = rounds.slots(part)
        with isolation.pictures_on_retry(settings) as decode:
            folders = rounds.folders
            fetch_part(
                WantedFile(path), folders, slots, settings, archives, decode, progress.report.add
            )
        number = sum(1 for _ in rounds.outcomes_of(part, path).moved(hops))
        return Result(metrics={"moved": number})

    label = f"fetch: round {len(rounds.files)}"
    tasks = sorted(rounds.files[-1].items())
    return int(run.map(tasks, work, label, images, "images").metrics["moved"])


def with_tombstones(config: Config) -> FetchSettings:
    """The settings with the tombstones as opt-out lists, so that nothing of them is requested."""
    consent = config.fetch.consent
    lists = [*consent.tombstones, *config.takedown.tombstones]
    consent = consent.model_copy(update={"tombstones": lists})
    return config.fetch.model_copy(update={"consent": consent})


def moved(run: Run, rounds: Rounds, hops: int) -> DataFrame:
    """Requests of the last round that were redirected to hosts of another owner."""

    def read(part: int, path: str) -> tables.Batches:
        rows = [asdict(request) for request in rounds.outcomes_of(part, path).moved(hops)]
        yield pa.RecordBatch.from_pylist(rows, schema=WANTED)

    return tables.frame(run.spark, sorted(rounds.files[-1].items()), read, WANTED)


# The table `images`


def write_images(run: Run, rounds: Rounds) -> Result:
    """Write `images`: one row a distinct URL, in the part that has its final outcome."""
    target, consent = run.target("images"), run.target("consent")
    lists = run.config.takedown.tombstones

    def work(part: int) -> Result:
        rows = rounds.outcomes(part).images()
        known = Tombstones.load(lists)
        rows = apply_tombstones.reject_images(rows, known) if known else rows
        count = Count(kept=rows["reason"].null_count)
        for entry in pc.value_counts(rows["reason"].drop_null()).to_pylist():
            count.reject(entry["values"], entry["counts"])
        metrics = {
            "requests": float(pc.sum(rows["requests"]).as_py() or 0),
            "bytes": float(pc.sum(rows["num_bytes"]).as_py() or 0),
        }
        file = write_part(target, part, IMAGES, rows.to_batches())
        reasons = dict(zip(rows["url"].to_pylist(), rows["reason"].to_pylist(), strict=True))
        receipts = list(rounds.outcomes(part).receipts(reasons))
        batch = pa.RecordBatch.from_pylist(receipts, schema=CONSENT)
        files = {"images": [file], "consent": [write_part(consent, part, CONSENT, [batch])]}
        return Result(files, {"images": count}, metrics)

    return run.map(rounds.parts, work, "fetch: images")


# The table `consent`


def write_page_receipts(run: Run) -> list[PartFile]:
    """Write the receipts of pages, in files beside those of images."""
    target, fetch = storage.join(run.target("consent"), "pages"), run.config.fetch
    names = ("documents", "verdicts", *(["page_robots"] if run.config.robots else []))

    def work(part: Part) -> Result:
        robots = PageRobots.read(part.paths.get("page_robots"), fetch.consent, fetch.product)
        file = write_part(target, part.number, CONSENT, page_rows(part.paths, robots))
        return Result({"consent": [file.model_copy(update={"name": f"pages/{file.name}"})]})

    return run.map(run.parts(*names), work, "fetch: pages").files.get("consent", [])


# The table `image_bytes`


def write_bytes(run: Run, rounds: Rounds, images: list[PartFile]) -> list[PartFile]:
    """Write `image_bytes`: each distinct image in the first part that stored it."""
    target, settings = run.target("image_bytes"), run.config.fetch
    table = run.table("image_bytes")
    repair_shards(run, rounds)
    if settings.store == "webdataset":
        return tables.write_by_part(kept_places(run, rounds, images), target, IMAGE_PLACES)

    def work(task: tuple[int, str]) -> Result:
        part, path = task
        rows = stored.read(path, table)
        files = stored.write_shards(rows, target, part, rounds.tasks, settings.shard_bytes)
        return Result({"image_bytes": files})

    folder = storage.join(rounds.work, "places")
    storage.delete_folder(folder)
    files = tables.write_by_part(kept_places(run, rounds, images), folder, IMAGE_PLACES)
    tasks = [(file.part, storage.join(folder, file.name)) for file in files]
    return run.map(tasks, work, "fetch: image bytes").files.get("image_bytes", [])


def repair_shards(run: Run, rounds: Rounds) -> None:
    """Complete the tar files that killed tasks left open; none of them has a writer now."""

    def work(path: str) -> Result:
        tar_shards.repair(path)
        return Result()

    run.map(storage.list_files(rounds.folders.shards), work, "fetch: shards")


def kept_places(run: Run, rounds: Rounds, images: list[PartFile]) -> DataFrame:
    """Rows of PLACES: one for each distinct kept image. A task raises for an image without any."""
    from pyspark.sql import functions as F

    folder = rounds.folders.shards.rsplit("/", 1)[-1]

    def read_kept(path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["sha256", "reason"]):
            digests = pc.unique(batch["sha256"].filter(pc.is_null(batch["reason"])))
            yield pa.RecordBatch.from_arrays([digests], schema=KEPT)

    def read_places(part: int) -> tables.Batches:
        for batch in stored_places(rounds.folders, rounds.slots(part)):
            shard = pc.binary_join_element_wise(folder, batch["shard"], "/")
            batch = batch.set_column(batch.schema.get_field_index("shard"), "shard", shard)
            yield batch.append_column("part", pa.array([part] * batch.num_rows, pa.int32()))

    def check(batches: Iterable[pa.RecordBatch]) -> tables.Batches:
        for batch in batches:
            if batch["shard"].null_count:
                raise RuntimeError(
                    f"{rounds.folders.shards}: the bytes of a kept image are missing"
                )
            yield batch

    paths = [(storage.join(run.target("images"), file.name),) for file in images]
    kept = tables.frame(run.spark, paths, read_kept, KEPT).distinct()
    parts = [(part,) for part in range(rounds.tasks)]
    places = tables.frame(run.spark, parts, read_places, PLACES).groupBy("sha256")
    place = F.min(F.struct("part", "shard", "offset", "num_bytes", "format")).alias("place")
    rows = kept.join(places.agg(place), "sha256", "left").select("sha256", "place.*")
    return tables.in_workers(rows.select(*PLACES.names), check, PLACES)


STAGE = Stage(
    name="fetch",
    reads=("documents", "verdicts", "duplicates"),
    writes=("images", "image_bytes", "consent"),
    sections=("fetch",),
    run=fetch,
    sources=lambda config: tombstones.identities(config.takedown.tombstones),
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.fetch"))
