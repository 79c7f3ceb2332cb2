"""The table `image_bytes`: where in the shards each distinct image lies, or its bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from benben.jobs import tables
from benben.jobs.job import Result, Run
from benben.pipeline import storage
from benben.pipeline.images import stored, tar_shards
from benben.pipeline.images.fetch_part import places
from benben.pipeline.images.rounds import Rounds
from benben.pipeline.images.shards import write_shards
from benben.pipeline.manifest import PartFile
from benben.pipeline.schema import IMAGE_PLACES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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
