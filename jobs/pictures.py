"""Stage `pictures`: what is dropped once images are fetched, by their bytes and looks.

It also measures how well images fit the texts around them, if the config asks for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from benben.jobs.deduplication import duplicates_table, similar_images
from benben.jobs.deduplication.duplicates_table import (
    DroppedDocuments,
    DuplicateSearch,
    PartInputs,
    contamination_row,
)
from benben.jobs.engine import script, tables
from benben.jobs.engine.stage import Result, Run, Stage
from benben.jobs.engine.tables import ShufflePlan
from benben.jobs.images import worth
from benben.pipeline import storage
from benben.pipeline.deduplication import clusters, decontamination, image_duplicates
from benben.pipeline.deduplication.duplicates import Duplicates
from benben.pipeline.deduplication.image_duplicates import PICTURES, FetchedImages
from benben.pipeline.deduplication.repeated_nodes import ImageSetRule, fetched_image_rules
from benben.pipeline.manifest import PartFile
from benben.pipeline.settings.deduplicate import PictureSettings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

USES = pa.schema([("part", pa.int32()), ("key", pa.int64())])
TABLE = "picture_duplicates"


def run(run: Run) -> Result:
    """Bring what is known of images to the parts that show them, then search for duplicates."""
    settings, target = run.config.pictures, run.target(TABLE)
    duplicates, folder = run.paths("duplicates"), storage.join(target, "pictures")
    fingerprints = sorted(run.paths("fingerprints").items())
    inputs: dict[int, PartInputs] = {
        part: (path, duplicates.get(part), None) for part, path in fingerprints
    }
    images = duplicates_table.paths_by_part(folder, write_images_by_part(run, inputs, folder))
    inputs = {
        part: (path, dropped, images.get(part)) for part, (path, dropped, _) in inputs.items()
    }
    rules, units = fetched_image_rules(settings), {"images": "image_nodes"}
    search = DuplicateSearch(read_documents, rules, image_set_rule(settings), units)
    result = duplicates_table.write_duplicates(run, inputs, search, TABLE)
    for name in (folder, storage.join(target, "looks")):
        storage.delete_folder(name)
    result.add(worth.write_worth(run))
    return result


def image_set_rule(settings: PictureSettings) -> ImageSetRule | None:
    """Return the rule for image sets; None if it is off."""
    sets = settings.image_sets
    if not sets.enabled:
        return None
    reason, column = f"duplicate.image_set_{sets.by}", f"{sets.by}_nodes"
    return ImageSetRule(reason, column, sets.min_images, sets.min_similarity)


def write_images_by_part(run: Run, inputs: dict[int, PartInputs], folder: str) -> list[PartFile]:
    """Write the fetched images that each part shows: PICTURES."""
    settings = run.config.pictures
    benchmarks = decontamination.load_images(settings.decontaminate, run.config.fetch)
    if not (fetched_image_rules(settings) or image_set_rule(settings) or benchmarks.names):
        return []
    plan = ShufflePlan.of(run, "fingerprints")

    def read_images(_: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, image_duplicates.COLUMNS):
            yield image_duplicates.fetched_images(batch, settings, benchmarks)

    def read_uses(part: int, files: PartInputs) -> tables.Batches:
        for batch, _ in read_remaining(files):
            keys = np.unique(batch["image_nodes"].flatten().field("key").to_numpy())
            parts = np.full(len(keys), part, np.int32)
            yield pa.RecordBatch.from_arrays([pa.array(parts), pa.array(keys)], schema=USES)

    fetched = sorted(run.paths("images").items())
    images = tables.frame(run.spark, fetched, read_images, PICTURES, plan)
    known = replace_looks(run, images, plan) if settings.compares_looks else images
    uses = tables.frame(run.spark, list(inputs.items()), read_uses, USES, plan).distinct()
    shown = uses.join(plan.broadcast(known), "key")
    return tables.write_by_part(shown, folder, PICTURES, plan=plan)


def replace_looks(run: Run, images: DataFrame, plan: ShufflePlan) -> DataFrame:
    """Replace each image's perceptual hash by that of the image it is counted as."""
    folder = storage.join(run.target(TABLE), "looks")
    hashes = images.where("look is not null")
    leaders = similar_images.find_leaders(run.spark, hashes, run.config.pictures.look, folder, plan)
    joined = images.join(plan.broadcast(leaders), "look", "left")
    return joined.withColumn("look", F.coalesce("leader", "look")).select(*PICTURES.names)


def read_remaining(inputs: PartInputs) -> Iterator[tuple[pa.RecordBatch, FetchedImages]]:
    """Read the fingerprints of documents and image nodes that `duplicates` does not drop.

    With them come the fetched images of the part; none before these are written.
    """
    path, duplicates, pictures = inputs
    known = Duplicates.read(duplicates)
    images = FetchedImages(storage.read_parquet(pictures) if pictures else PICTURES.empty_table())
    for batch in clusters.uncontaminated(path, duplicates_table.COLUMNS):
        kept = batch.filter(pa.array(~known.is_dropped(batch)))
        yield images.add_columns(kept, known.dropped_nodes(kept)), images


def read_documents(inputs: PartInputs) -> Iterator[tuple[pa.RecordBatch, DroppedDocuments]]:
    """Read the remaining documents of a part, with rows of those that show a benchmark image."""
    for batch, images in read_remaining(inputs):
        items = images.contaminated(batch)
        yield batch, {name: contamination_row(name, item) for name, item in items.items()}


STAGE = Stage(
    name="pictures",
    reads=("documents", "verdicts", "fingerprints", "duplicates", "images"),
    writes=(TABLE, worth.TABLE),
    sections=("pictures", "deduplicate", "fingerprint", "worth"),
    run=run,
    sources=lambda config: decontamination.image_set_digests(config.pictures.decontaminate),
    follows="duplicates",
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.pictures"))
