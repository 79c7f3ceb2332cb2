"""Image bytes in parquet files of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from pipeline import storage
from pipeline.manifest import PartFile
from pipeline.schema import IMAGE_BYTES

ROW_GROUP_IMAGES = 64  # what a reader holds at once
BATCH_BYTES = 32 << 20
Stored = tuple[str, str, bytes]  # SHA-256, format, bytes


def write_shards(
    pictures: Iterable[Stored], folder: str, part: int, step: int, limit: int
) -> list[PartFile]:
    """Write rows of IMAGE_BYTES; a file that passes `limit` bytes is followed by another.

    Files are numbered `part`, `part + step`, `part + 2 step` ...: unique among tasks.
    """
    files: list[PartFile] = []
    source = iter(pictures)
    batch = _take(source, limit)
    while batch:
        number = part + len(files) * step
        name = f"part-{number:05d}.parquet"
        path = storage.join(folder, name)
        written = 0
        with storage.ParquetWriter(path, IMAGE_BYTES, ROW_GROUP_IMAGES) as writer:
            while batch and written < limit:
                columns = [pa.array(column, field.type) for column, field in _columns(batch)]
                writer.write(pa.RecordBatch.from_arrays(columns, schema=IMAGE_BYTES))
                written += sum(len(data) for *_, data in batch)
                batch = _take(source, limit)
        files.append(PartFile(part=number, name=name, rows=writer.rows, bytes=writer.bytes))
    return files


def _columns(batch: list[Stored]) -> Iterator[tuple[tuple[object, ...], pa.Field]]:
    return zip(zip(*batch, strict=True), IMAGE_BYTES, strict=True)


def _take(source: Iterator[Stored], limit: int) -> list[Stored]:
    batch: list[Stored] = []
    size = 0
    for picture in source:
        batch.append(picture)
        size += len(picture[2])
        if len(batch) == ROW_GROUP_IMAGES or size >= min(BATCH_BYTES, limit):
            break
    return batch
