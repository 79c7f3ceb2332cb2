"""Images that img2dataset has fetched already: read from its parquet shards, not asked for again.

Its tables have a column `url` and the bytes in one named by their format; whatever it re-encoded
is stored as it left it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import pyarrow.parquet as pq

from benben.pipeline import storage
from benben.pipeline.errors import InputError

BYTES_COLUMNS = ("jpg", "png", "webp")  # img2dataset's encode_format


def find(folders: Sequence[str], wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield URL and bytes of the wanted images, each once. Raises InputError."""
    left = set(wanted)
    for folder in folders:
        if not storage.is_folder(folder):
            raise InputError(f"fetch.img2dataset: {folder}: no such folder")
        for path in storage.list_files(folder):
            if path.endswith(".parquet") and left:
                yield from _in_file(path, left)


def _in_file(path: str, left: set[str]) -> Iterator[tuple[str, bytes]]:
    """Images of one shard; bytes are read only of row groups that hold a wanted one."""
    with storage.open_input(path) as stream:
        shard = pq.ParquetFile(stream)
        column = next((name for name in BYTES_COLUMNS if name in shard.schema_arrow.names), None)
        if column is None or "url" not in shard.schema_arrow.names:
            raise InputError(
                f"{path}: not a shard of img2dataset with output_format=parquet "
                f"(columns: {', '.join(shard.schema_arrow.names)})"
            )
        for group in range(shard.num_row_groups):
            urls = shard.read_row_group(group, ["url"])["url"].to_pylist()
            if left.isdisjoint(urls):
                continue
            bodies = shard.read_row_group(group, [column])[column]
            for url, body in zip(urls, bodies, strict=True):
                if url in left and body.is_valid:
                    left.discard(url)
                    yield url, body.as_py()
