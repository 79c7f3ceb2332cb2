"""Images that a fetch stored, read back: rows with bytes, whichever form the table has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import storage
from benben.pipeline.images.store import tar_shards
from benben.pipeline.images.store.tar_shards import Place
from benben.pipeline.manifest import PartFile
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


# FOLD-IN Image bytes in parquet files of bounded size.


ROW_GROUP_IMAGES = 64  # what a reader holds at once


def write_shards(
    batches: Iterable[pa.RecordBatch], folder: str, part: int, step: int, limit: int
) -> list[PartFile]:
    """Write rows of IMAGE_BYTES; a file that passes `limit` bytes is followed by another.

    Files are numbered `part`, `part + step`, `part + 2 step` ...: unique among tasks.
    """
    files: list[PartFile] = []
    source = _cut(batches, limit)
    batch = next(source, None)
    while batch is not None:
        number = part + len(files) * step
        name = f"part-{number:05d}.parquet"
        path = storage.join(folder, name)
        written = 0
        with storage.ParquetWriter(path, IMAGE_BYTES, ROW_GROUP_IMAGES) as writer:
            while batch is not None and written < limit:
                writer.write(batch)
                written += pc.sum(pc.binary_length(batch["bytes"])).as_py() or 0
                batch = next(source, None)
        files.append(PartFile(part=number, name=name, rows=writer.rows, bytes=writer.bytes))
    return files


def _cut(batches: Iterable[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that end where they pass `limit` bytes."""
    for batch in batches:
        start = size = 0
        for row, length in enumerate(pc.binary_length(batch["bytes"]).to_pylist()):
            size += length
            if size >= limit:
                yield batch.slice(start, row + 1 - start)
                start, size = row + 1, 0
        if start < batch.num_rows:
            yield batch.slice(start)
