"""The index of earlier runs: the keys, records and components of their documents.

An index is files sorted by a 64-bit key. A run adds files and rewrites none. A later run shuffles
its own keys to the buckets of the files; the files are not shuffled, and only the row groups that
can contain a key are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Window
from pyspark.sql import functions as F

from benben.jobs.engine import tables
from benben.jobs.engine.tables import Batches
from benben.pipeline import manifest, storage
from benben.pipeline.deduplication.clusters import RECORDS
from benben.pipeline.errors import UserError
from benben.pipeline.settings import Config

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from benben.pipeline.manifest import PartFile

BUCKET_BITS = 6  # 64 files per table: part of the format, equal in all runs
AGE = pa.field("age", pa.int32())  # index of the run that a row comes from, oldest first
EARLIER_RUN = -1  # `part` of a document of an earlier run
KEY = pa.field("key", pa.int64())
# One row for each key that no earlier run has, with the oldest document that has it.
INDEX_KEYS = pa.schema([KEY, ("node", pa.binary())])
INDEX_RECORDS = pa.schema([KEY, *RECORDS])
# Documents of components of two or more: one row by the document's own key, one by its label's.
INDEX_COMPONENTS = pa.schema(
    [
        KEY,
        ("node", pa.binary()),
        ("label", pa.binary()),
        ("reason", pa.string()),  # null: kept
        ("kept_id", pa.string()),
    ]
)
TABLES = ("index_keys", "index_records", "index_components")


class EarlierRuns:
    """The index tables of earlier runs, oldest run first."""

    def __init__(self, config: Config) -> None:
        self.folders = config.deduplicate.against
        self._tables = {name: [_files(f, name, config) for f in self.folders] for name in TABLES}

    def keys(self, keyed: DataFrame) -> DataFrame:
        """Return rows (key, node) of the keys in a frame that an earlier run has."""
        found = find(keyed, self._tables["index_keys"], INDEX_KEYS)
        return found.select("key", "node")

    def records(self, nodes: DataFrame) -> DataFrame:
        """Return the records of those of a frame's nodes that belong to earlier runs."""
        wanted = nodes.select(node_key("node").alias("key"), "node").distinct()
        found = find(wanted, self._tables["index_records"], INDEX_RECORDS)
        rows = found.join(wanted.select("node"), "node", "left_semi")
        return rows.withColumn("part", F.lit(EARLIER_RUN)).select(*RECORDS.names)

    def members(self, nodes: DataFrame) -> DataFrame:
        """Return all documents of the components of a frame's nodes, with the latest decision."""
        table = self._tables["index_components"]
        wanted = nodes.select(node_key("node").alias("key")).distinct()
        near = find(wanted, table, INDEX_COMPONENTS)
        labels = near.select(node_key("label").alias("key")).distinct()
        rows = find(labels.union(wanted), table, INDEX_COMPONENTS)
        last = Window.partitionBy("node").orderBy(F.desc("age"))
        chosen = rows.withColumn("place", F.row_number().over(last)).where("place = 1")
        return chosen.select("node", "label", "reason", "kept_id")


def node_key(name: str) -> Column:
    """Return the index key of a column of nodes."""
    return F.xxhash64(name)


def sources(config: Config) -> dict[str, str]:
    """Return the ids of the earlier runs' index tables. Raises UserError."""
    return {
        storage.join(folder, name): _manifest(folder, name).id
        for folder in config.deduplicate.against
        for name in TABLES
    }


def write(rows: DataFrame, folder: str, schema: pa.Schema) -> list[PartFile]:
    """Write a frame with a column `key`: one sorted file per bucket."""
    return tables.write_by_part(rows.withColumn("part", _bucket()), folder, schema, order=["key"])


def find(keys: DataFrame, runs: Sequence[dict[int, str]], schema: pa.Schema) -> DataFrame:
    """Return the rows, with `age`, whose key is in a frame; `runs` map buckets to files."""
    found = schema.append(AGE)

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        sent = [(batch["bucket"].to_numpy(), batch["key"].to_numpy()) for batch in batches]
        if not sent:
            return
        buckets, keys = (np.concatenate(column) for column in zip(*sent, strict=True))
        for bucket in np.unique(buckets):
            wanted = np.unique(keys[buckets == bucket])
            for age, files in enumerate(runs):
                if bucket in files:
                    for rows in _matching(files[bucket], wanted, schema):
                        ages = pa.array(np.full(len(rows), age, np.int32))
                        yield from rows.append_column(AGE, ages).cast(found).to_batches()

    sent = keys.select("key").distinct().withColumn("bucket", _bucket()).repartition("bucket")
    return tables.in_workers(sent.select("bucket", "key"), work, found)


def _matching(path: str, keys: np.ndarray, schema: pa.Schema) -> Iterator[pa.Table]:
    """Read the rows of a sorted file whose key is among the given sorted keys."""
    with storage.open_input(path) as stream:
        file = pq.ParquetFile(stream)
        column = file.schema_arrow.get_field_index("key")
        for number in range(file.num_row_groups):
            bounds = file.metadata.row_group(number).column(column).statistics
            first = np.searchsorted(keys, bounds.min)
            last = np.searchsorted(keys, bounds.max, side="right")
            if first < last:
                hit = np.isin(file.read_row_group(number, ["key"])["key"], keys[first:last])
                if hit.any():
                    yield file.read_row_group(number, schema.names).filter(pa.array(hit))


def _bucket() -> Column:
    return F.shiftrightunsigned("key", 64 - BUCKET_BITS).cast("int")


def _files(folder: str, table: str, config: Config) -> dict[int, str]:
    """Map buckets to files. Raises UserError if the index was made with other settings."""
    found = _manifest(folder, table)
    ours = config.model_dump(mode="json")
    for section, names in (("fingerprint", None), ("deduplicate", ("keep", "minhash"))):
        for name in names or ours[section]:
            theirs = found.config[section][name]
            if theirs != ours[section][name]:
                raise UserError(
                    f"{folder}: its index was made with {section}.{name}={theirs}, this run has "
                    f"{ours[section][name]}; both must be equal"
                )
    return {file.part: storage.join(folder, table, file.name) for file in found.files}


def _manifest(folder: str, table: str) -> manifest.Manifest:
    found = manifest.read(storage.join(folder, table))
    if found is None or not found.config["deduplicate"]["index"]:
        raise UserError(
            f"{folder}: has no index of its documents; run `benben cluster` there with "
            f"deduplicate.index=true, or remove the folder from deduplicate.against"
        )
    return found
