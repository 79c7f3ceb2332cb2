"""The table `image_bytes`: reading it in either form, and writing the form that holds the bytes.

Its rows hold places in tar shards (IMAGE_PLACES) or the bytes themselves (IMAGE_BYTES).
"""

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
ROW_GROUP_IMAGES = 64  # a reader holds a row group in memory


def read(path: str, folder: str, wanted: pa.Array | None = None) -> Iterator[pa.RecordBatch]:
    """Rows of IMAGE_BYTES of one file of `image_bytes`, by default all.

    `folder` is the table's folder; `wanted` selects by SHA-256.
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
    """Bytes of one row of `image_bytes`, in either form."""
    if "bytes" in row:
        return bytes(row["bytes"])
    place = Place(row["shard"], row["offset"], row["num_bytes"])
    return next(tar_shards.read(storage.join(folder, place.shard), [place]))


def _from_shards(rows: pa.Table, folder: str) -> Iterator[pa.RecordBatch]:
    columns = (rows[name].to_pylist() for name in IMAGE_PLACES.names)
    batch: list[tuple[str, str, bytes]] = []
    size = 0
    for shard, group in groupby(zip(*columns, strict=True), key=lambda row: row[2]):
        members = list(group)
        places = (Place(*row[2:]) for row in members)
        bodies = tar_shards.read(storage.join(folder, shard), places)
        for row, data in zip(members, bodies, strict=True):
            batch.append((row[0], row[1], data))
            size += len(data)
            if len(batch) == BATCH_IMAGES or size >= BATCH_BYTES:
                yield to_batch(batch)
                batch, size = [], 0
    if batch:
        yield to_batch(batch)


def to_batch(images: list[tuple[str, str, bytes]]) -> pa.RecordBatch:
    """SHA-256, format and bytes of images as rows of IMAGE_BYTES."""
    columns = zip(zip(*images, strict=True), IMAGE_BYTES, strict=True)
    arrays = [pa.array(column, field.type) for column, field in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=IMAGE_BYTES)


def write_shards(
    batches: Iterable[pa.RecordBatch], folder: str, part: int, step: int, limit: int
) -> list[PartFile]:
    """Write rows of IMAGE_BYTES to files that end when they reach `limit` bytes of images.

    Files are numbered `part`, `part + step`, `part + 2 * step` ...: with `step` parts in all, no
    two files have the same number.
    """
    files: list[PartFile] = []
    source = _split(batches, limit)
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


def _split(batches: Iterable[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that end where they reach `limit` bytes."""
    for batch in batches:
        start = size = 0
        for row, length in enumerate(pc.binary_length(batch["bytes"]).to_pylist()):
            size += length
            if size >= limit:
                yield batch.slice(start, row + 1 - start)
                start, size = row + 1, 0
        if start < batch.num_rows:
            yield batch.slice(start)
