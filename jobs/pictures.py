"""All that deduplication drops once images are fetched: by the images' bytes and by their looks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from benben.jobs.deduplication import duplicates_table, similar_images
from benben.jobs.deduplication.duplicates_table import Gone, Repeats, Task
from benben.jobs.engine import script, tables
from benben.jobs.engine.stage import Result, Run, Stage
from benben.jobs.engine.tables import ShufflePlan
from benben.pipeline import storage
from benben.pipeline.deduplication import (
    clusters,
    image_decontamination,
    image_duplicates,
)
from benben.pipeline.deduplication import repeated_nodes as repeats
from benben.pipeline.deduplication.duplicates import Duplicates
from benben.pipeline.deduplication.image_duplicates import PICTURES, Pictures
from benben.pipeline.deduplication.repeated_nodes import SetRule
from benben.pipeline.manifest import PartFile
from benben.pipeline.settings.deduplicate import PictureSettings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

USES = pa.schema([("part", pa.int32()), ("key", pa.int64())])
TABLE = "picture_duplicates"


def run(run: Run) -> Result:
    """Bring what is known of each image to the parts that show it, then look for what repeats."""
    settings, target = run.config.pictures, run.target(TABLE)
    duplicates = run.paths("duplicates")
    files = sorted(run.paths("fingerprints").items())
    tasks = [(part, f"{path}\n{duplicates.get(part, '')}") for part, path in files]
    folder = storage.join(target, "pictures")
    tasks = duplicates_table.also(tasks, folder, place(run, tasks, folder))
    units = {"images": "image_nodes"}
    found = Repeats(entering, repeats.picture_rules(settings), set_rule(settings), units)
    result = duplicates_table.write(run, tasks, found, TABLE)
    for name in (folder, storage.join(target, "looks")):
        storage.delete_folder(name)
    return result


def set_rule(settings: PictureSettings) -> SetRule | None:
    """How image sets are compared; none when they are not."""
    sets = settings.image_sets
    if not sets.enabled:
        return None
    reason, column = f"duplicate.image_set_{sets.by}", f"{sets.by}_nodes"
    return SetRule(reason, column, sets.min_images, sets.min_similarity)


def place(run: Run, tasks: list[Task], folder: str) -> list[PartFile]:
    """Write the pictures that each part shows: PICTURES."""
    settings = run.config.pictures
    benchmarks = image_decontamination.load(settings.decontaminate, run.config.fetch)
    if not (repeats.picture_rules(settings) or set_rule(settings) or benchmarks.names):
        return []
    plan = ShufflePlan.of(run, "fingerprints")

    def read_images(_: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, image_duplicates.COLUMNS):
            yield image_duplicates.pictures(batch, settings, benchmarks)

    def read_uses(part: int, files: str) -> tables.Batches:
        for batch, _ in left(files):
            keys = np.unique(batch["image_nodes"].flatten().field("key").to_numpy())
            parts = np.full(len(keys), part, np.int32)
            yield pa.RecordBatch.from_arrays([pa.array(parts), pa.array(keys)], schema=USES)

    fetched = sorted(run.paths("images").items())
    images = tables.frame(run.spark, fetched, read_images, PICTURES, plan)
    seen = with_classes(run, images, plan) if settings.looks else images
    uses = tables.frame(run.spark, tasks, read_uses, USES, plan).distinct()
    placed = uses.join(plan.broadcast(seen), "key")
    return tables.write_by_part(placed, folder, PICTURES, plan=plan)


def with_classes(run: Run, images: DataFrame, plan: ShufflePlan) -> DataFrame:
    """Put the look that stands for its class in place of each image's own."""
    work = storage.join(run.target(TABLE), "looks")
    hashes = images.where("look is not null")
    found = similar_images.classes(run.spark, hashes, run.config.pictures.look, work, plan)
    joined = images.join(plan.broadcast(found), "look", "left")
    return joined.withColumn("look", F.coalesce("leader", "look")).select(*PICTURES.names)


def left(files: str) -> Iterator[tuple[pa.RecordBatch, Pictures]]:
    """Fingerprints of the documents that `duplicates` leaves, with the image nodes it leaves.

    Beside them the pictures of the part, none before they are placed.
    """
    path, duplicates, pictured = f"{files}\n".split("\n")[:3]
    known = Duplicates.read(duplicates or None)
    shown = Pictures(storage.read_parquet(pictured) if pictured else PICTURES.empty_table())
    for batch in clusters.clean(path, duplicates_table.COLUMNS):
        mine = batch.filter(pa.array(~known.gone(batch)))
        yield shown.beside(mine, known.dropped(mine)), shown


def entering(files: str) -> Iterator[tuple[pa.RecordBatch, Gone]]:
    """What is left of a part's documents, and the rows of those that show a benchmark's image."""
    for batch, shown in left(files):
        items = shown.contaminated(batch)
        yield (
            batch,
            {name: duplicates_table.contaminated(name, item) for name, item in items.items()},
        )


STAGE = Stage(
    name="pictures",
    reads=("fingerprints", "duplicates", "images"),
    writes=(TABLE,),
    sections=("pictures", "deduplicate", "fingerprint"),
    run=run,
    sources=lambda config: image_decontamination.sources(config.pictures.decontaminate),
    follows="duplicates",
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.pictures"))
