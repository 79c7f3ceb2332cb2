"""Images of kept documents: every distinct URL once, each host owned by one task at a time.

What is fetched goes to a journal beside the tables as it comes; a killed job goes on from there,
and `fetch.attempt=2` asks again for what failed in a way that may have passed. The journal can be
deleted once the tables stand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs import cli, tables
from jobs.job import Result, Run, Stage, write_part
from pipeline import storage
from pipeline.archive import archives
from pipeline.images.fetch_part import Share, fetch_part
from pipeline.images.journal import VERSION, Range, slot_of, task_of
from pipeline.images.outcome import owner
from pipeline.images.shards import write_shards
from pipeline.images.wanted import MENTIONS, WANTED, WantedFile, mentions
from pipeline.manifest import Count, PartFile
from pipeline.schema import IMAGES
from pipeline.settings import Config
from pipeline.settings.fetch import FetchSettings
from pipeline.takedown import tombstones, withhold
from pipeline.takedown.tombstones import Tombstones

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DEALT = WANTED.append(pa.field("part", pa.int32()))
HELD = pa.schema([("sha256", pa.string()), ("part", pa.int32())])
PACE = {"attempt", "concurrency", "decode_threads", "hosts", "politeness", "shard_bytes", "tasks"}


@dataclass(frozen=True)
class Rounds:
    """Where the requests of all rounds and their outcomes lie."""

    work: str
    journal: str
    tasks: int
    files: list[dict[int, str]] = field(default_factory=list)  # a round: part -> requests

    @property
    def parts(self) -> list[int]:
        """Parts with requests in any round."""
        return sorted({part for files in self.files for part in files})

    def range(self, part: int) -> Range:
        """The slots of one part."""
        return Range.of(part, self.tasks)

    def share(self, part: int) -> Share:
        """What the journal says about the requests of one part."""
        return self.asked(part, *(files[part] for files in self.files if part in files))

    def asked(self, part: int, *paths: str) -> Share:
        """What the journal says about the requests in some files of one part."""
        wanted = ((image.url, image.hops) for path in paths for image in WantedFile(path))
        return Share(self.journal, self.range(part), wanted)


def fetch(run: Run) -> Result:
    """Ask for every wanted image, round by round of redirects; then write the tables."""
    settings = run.config.fetch
    work = storage.join(run.table("images"), "work")
    tasks = settings.tasks or run.spark.sparkContext.defaultParallelism
    rounds = Rounds(work, storage.join(work, f"journal-{journal_id(settings)}"), tasks)
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

    said = tables.frame(run, [(part, "") for part in paths], read, MENTIONS)
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

    return requests.mapInArrow(work, tables.spark_schema(DEALT))


def ask(run: Run, rounds: Rounds, hops: int) -> int:
    """Fetch the last round's requests, one task a part; returns how many were redirected away."""
    settings = forewarned(run.config)
    found = archives.find(run.config.input, run.config.archives) if settings.archives else []
    places = {archive.url.rsplit("/", 1)[-1]: archive.url for archive in found}

    def work(task: tuple[int, str]) -> Result:
        part, path = task
        fetch_part(WantedFile(path), rounds.journal, rounds.range(part), settings, places)
        gone = sum(1 for _ in rounds.asked(part, path).moved(hops))
        return Result(metrics={"moved": gone})

    label = f"fetch: round {len(rounds.files)}"
    return int(run.map(sorted(rounds.files[-1].items()), work, label).metrics["moved"])


def forewarned(config: Config) -> FetchSettings:
    """The settings with the tombstones as one more opt-out list, so that nothing is stored."""
    consent = config.fetch.consent
    lists = [*consent.tombstones, *config.takedown.tombstones]
    return config.fetch.model_copy(
        update={"consent": consent.model_copy(update={"tombstones": lists})}
    )


def moved(run: Run, rounds: Rounds, hops: int) -> DataFrame:
    """Requests of the last round that were redirected to hosts of another owner."""

    def read(part: int, path: str) -> tables.Batches:
        rows = [asdict(request) for request in rounds.asked(part, path).moved(hops)]
        yield pa.RecordBatch.from_pylist(rows, schema=WANTED)

    return tables.frame(run, sorted(rounds.files[-1].items()), read, WANTED)


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


def write_bytes(run: Run, rounds: Rounds, images: list[PartFile]) -> list[PartFile]:
    """Write `image_bytes`: each distinct image in the first part that fetched it."""
    target, limit = run.target("image_bytes"), run.config.fetch.shard_bytes
    folder = storage.join(rounds.work, "held")
    storage.delete_folder(folder)

    def read(part: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["sha256", "reason"]):
            names = batch["sha256"].filter(pc.is_null(batch["reason"]))
            yield pa.RecordBatch.from_arrays(
                [names, pa.array([part] * len(names), pa.int32())], schema=HELD
            )

    def work(task: tuple[int, str]) -> Result:
        part, path = task
        owned = set(storage.read_parquet(path, ["sha256"])["sha256"].to_pylist())
        pictures = rounds.share(part).pictures(owned)
        return Result({"image_bytes": write_shards(pictures, target, part, rounds.tasks, limit)})

    paths = [(file.part, storage.join(run.target("images"), file.name)) for file in images]
    held = tables.frame(run, paths, read, HELD).groupBy("sha256").agg({"part": "min"})
    first = held.withColumnRenamed("min(part)", "part")
    owners = tables.write_by_part(first, folder, HELD)
    tasks = [(file.part, storage.join(folder, file.name)) for file in owners]
    return run.map(tasks, work, "fetch: image bytes").files.get("image_bytes", [])


STAGE = Stage(
    name="fetch",
    reads=("documents", "verdicts", "duplicates"),
    writes=("images", "image_bytes"),
    sections=("fetch",),
    run=fetch,
    sources=lambda config: tombstones.identities(config.takedown.tombstones),
)

if __name__ == "__main__":
    sys.exit(cli.main(["fetch", *sys.argv[1:]]))
