"""Revisions: what later runs decided about the documents of this run, sorted into its parts.

A run that is deduplicated against this one may keep a newer document in place of one of this run,
or keep one again that this run dropped. The setting `revised_by` names such runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from benben.jobs.engine import tables
from benben.pipeline import manifest, storage
from benben.pipeline.deduplication.clusters import CLUSTERS
from benben.pipeline.errors import UserError

if TYPE_CHECKING:
    from benben.jobs.engine.stage import Run
    from benben.pipeline.manifest import Manifest, PartFile
    from benben.pipeline.settings import Config

NAMES = pa.schema([("doc_id", pa.string()), ("part", pa.int32())])
WITH_AGE = CLUSTERS.append(pa.field("age", pa.int32()))


def write_revisions(run: Run, folder: str) -> list[PartFile]:
    """Write the latest revision of each document of this run, by part: CLUSTERS.

    A row without a reason means that the document is kept again.
    """
    files = [
        (age, storage.join(source, "revisions", file.name))
        for age, source in enumerate(run.config.revised_by)
        for file in _manifest(source).files
    ]
    if not files:
        return []

    def read_names(part: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["doc_id"]):
            parts = pa.array([part] * len(batch), pa.int32())
            yield pa.RecordBatch.from_arrays([batch["doc_id"], parts], schema=NAMES)

    def read_revisions(age: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path):
            yield batch.append_column("age", pa.array([age] * len(batch), pa.int32()))

    names = tables.frame(run.spark, sorted(run.paths("fingerprints").items()), read_names, NAMES)
    revised = tables.frame(run.spark, files, read_revisions, WITH_AGE)
    newest = Window.partitionBy("doc_id").orderBy(F.desc("age"))
    last = revised.withColumn("place", F.row_number().over(newest)).where("place = 1")
    found = last.join(names, "doc_id").select("part", *CLUSTERS.names)
    return tables.write_by_part(found, folder, CLUSTERS)


def sources(config: Config) -> dict[str, str]:
    """Return the ids of the later runs' revisions. Raises UserError."""
    return {folder: _manifest(folder).id for folder in config.revised_by}


def _manifest(folder: str) -> Manifest:
    found = manifest.read(storage.join(folder, "revisions"))
    if found is None:
        raise UserError(
            f"{folder}: has no revisions; run `benben cluster` there with deduplicate.against and "
            f"deduplicate.index=true, or remove the folder from revised_by"
        )
    return found
