"""What earlier runs left for later ones: files sorted by a 64-bit key, read where keys meet.

A run adds files and rewrites none. A later run's keys are shuffled to the files' buckets; the
files are not shuffled, and only the row groups that can hold a key are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions as F

from benben.jobs import tables
from benben.pipeline import storage

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from benben.pipeline.manifest import PartFile

Batches = Iterator[pa.RecordBatch]
BUCKET_BITS = 6  # 64 files a table: part of the format, equal in all runs
AGE = pa.field("age", pa.int32())  # place of the run a row comes from, in the order given


def write(rows: DataFrame, folder: str, schema: pa.Schema) -> list[PartFile]:
    """Write a frame with a column `key`, one sorted file a bucket."""
    return tables.write_by_part(rows.withColumn("part", _bucket()), folder, schema, order=["key"])


def find(keys: DataFrame, runs: Sequence[dict[int, str]], schema: pa.Schema) -> DataFrame:
    """Rows, with `age`, whose key is among those of a frame; `runs` hold bucket -> file."""
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


def _bucket() -> Column:
    return F.shiftrightunsigned("key", 64 - BUCKET_BITS).cast("int")


def _matching(path: str, keys: np.ndarray, schema: pa.Schema) -> Iterator[pa.Table]:
    """Rows of one sorted file whose key is among sorted keys."""
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
