"""How the dataset's parquet files are written, so that a change of few rows changes few bytes.

Stores that keep each piece of content once, as the Hugging Face Hub does (Xet), upload only what is
new in a file. So a file that is rewritten keeps its row groups, and columns whose values differ
from row to row have no dictionary, which one value would change as a whole. Pages of texts end
where their content says, not at a number of rows. Images, which are compressed already, are not
compressed again: they lie one after another in one page of a small row group, where one that is
gone leaves the bytes of the others as they were (`python -m benchmarks.incremental_upload`).

A page index lets readers skip pages. The features of `datasets` stand in the schema's metadata,
from which the Hub's viewer knows which columns are images.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

REPEATED = ("lang", "host", "dump", "format")  # columns in which values repeat
GROUP_BYTES = 512 << 10  # of images in a row group: what a reader of one image has to read
WHOLE = 1 << 30  # bytes of a page: more than a row group has
PAGE_BYTES = {"min_chunk_size": 64 << 10, "max_chunk_size": 256 << 10}  # of texts
HUGGING_FACE = b"huggingface"  # key of the schema's metadata


def options(schema: pa.Schema) -> dict[str, Any]:
    """Return the options of pyarrow's ParquetWriter for a file of the dataset."""
    leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
    images = any(pa.types.is_binary(kind) for _, kind in leaves)
    pages: dict[str, Any] = (
        {"data_page_size": WHOLE} if images else {"use_content_defined_chunking": PAGE_BYTES}
    )
    return pages | {
        "compression": {name: "none" if pa.types.is_binary(t) else "zstd" for name, t in leaves},
        "use_dictionary": [name for name, _ in leaves if name in REPEATED],
        "write_statistics": [name for name, t in leaves if not pa.types.is_binary(t)],
        "write_page_index": True,
    }


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """Yield the columns that a field is stored as, with their types."""
    if pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    else:
        yield path, kind


def with_features(schema: pa.Schema) -> pa.Schema:
    """Return a schema with the features of `datasets` in its metadata.

    A struct of `bytes` and `path` is an image.
    """
    features = {field.name: _feature(field.type) for field in schema}
    known = json.dumps({"info": {"features": features}}).encode()
    return schema.with_metadata({**(schema.metadata or {}), HUGGING_FACE: known})


def _feature(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return [_feature(kind.value_type)]  # which every version of `datasets` reads
    if pa.types.is_struct(kind):
        if [field.name for field in kind] == ["bytes", "path"]:
            return {"_type": "Image"}
        return {field.name: _feature(field.type) for field in kind}
    names = {pa.float32(): "float32", pa.float64(): "float64"}
    return {"dtype": names.get(kind, str(kind)), "_type": "Value"}


def image_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Regroup rows of images, without changing their order, into batches of about GROUP_BYTES."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        start = 0
        for row, length in enumerate(pc.binary_length(batch["bytes"]).to_pylist()):
            size += length or 0
            if size >= GROUP_BYTES:
                yield pa.concat_batches([*waiting, batch.slice(start, row + 1 - start)])
                waiting, start, size = [], row + 1, 0
        if start < batch.num_rows:
            waiting.append(batch.slice(start))
    if waiting:
        yield pa.concat_batches(waiting)
