"""Images that a fetch stored, read back: rows with bytes, whichever form the table has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import storage
from benben.pipeline.images import tar_shards
from benben.pipeline.images.tar_shards import Place
from benben.pipeline.schema import IMAGE_BYTES, IMAGE_PLACES

BATCH_IMAGES, BATCH_BYTES = 64, 32 << 20


def read(path: str, folder: str, wanted: pa.Array | None = None) -> Iterator[pa.RecordBatch]:
    """Rows of IMAGE_BYTES of one file of `image_bytes`, those with a wanted SHA-256.

    `folder` is the table's.
    """
    if "shard" not in storage.footer(path).schema.to_arrow_schema().names:
        for batch in storage.iter_parquet(path, None, BATCH_IMAGES):
            yield batch if wanted is None else batch.filter(pc.is_in(batch["sha256"], wanted))
        return
    rows = storage.read_parquet(path)
    if wanted is not None:
        rows = rows.filter(pc.is_in(rows["sha256"], wanted))
    yield from _from_shards(rows.sort_by([("shard", "ascending"), ("offset", "ascending")]), folder)


def body(row: Mapping[str, Any], folder: str) -> bytes:
    """Bytes of one row of `image_bytes`."""
    if "bytes" in row:
        return bytes(row["bytes"])
    place = Place(row["shard"], row["offset"], row["num_bytes"])
    return next(tar_shards.read(storage.join(folder, place.shard), [place]))


def _from_shards(rows: pa.Table, folder: str) -> Iterator[pa.RecordBatch]:
    columns = (rows[name].to_pylist() for name in IMAGE_PLACES.names)
    batch: list[tuple[str, str, bytes]] = []
    size = 0
    for shard, group in groupby(zip(*columns, strict=True), key=lambda row: row[2]):
        mine = list(group)
        places = (Place(*row[2:]) for row in mine)
        pictures = tar_shards.read(storage.join(folder, shard), places)
        for row, data in zip(mine, pictures, strict=True):
            batch.append((row[0], row[1], data))
            size += len(data)
            if len(batch) == BATCH_IMAGES or size >= BATCH_BYTES:
                yield to_batch(batch)
                batch, size = [], 0
    if batch:
        yield to_batch(batch)


def to_batch(pictures: list[tuple[str, str, bytes]]) -> pa.RecordBatch:
    """SHA-256, format and bytes of pictures as rows of IMAGE_BYTES."""
    columns = zip(zip(*pictures, strict=True), IMAGE_BYTES, strict=True)
    arrays = [pa.array(column, field.type) for column, field in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=IMAGE_BYTES)
