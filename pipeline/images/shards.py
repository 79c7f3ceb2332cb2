"""Image bytes in parquet files of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import storage
from benben.pipeline.manifest import PartFile
from benben.pipeline.schema import IMAGE_BYTES

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
