"""The self-contained form of the dataset: each row holds the bytes of its images.

`images` is a list of structs of `bytes` and `path`, which `datasets` and the Hub's viewer show as
images; `image_urls` holds the URLs that `images` has in the form by reference. An image without
stored bytes is null. What is JSON in the form by reference, as in OBELICS, is lists and structs
here. All other columns are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import storage
from benben.pipeline.dataset import shipped_files
from benben.pipeline.dataset.webdataset import ENDINGS, ImageIndex, Stored
from benben.pipeline.schema import DATASET

FOLDER = "self_contained"  # the config's name, too
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_TEXT, _SIZE = pa.string(), pa.int64()
IMAGE_FACTS = pa.struct(  # of obelics.image_metadata
    [
        *((name, _TEXT) for name in ("document_url", "unformatted_src", "src")),
        *((name, _TEXT) for name in ("formatted_filename", "alt_text", "caption", "format")),
        *((f"{kind}_{side}", _SIZE) for kind in ("rendered", "original")
          for side in ("width", "height")),
    ]
)  # fmt: skip
PAGE_FACTS = pa.struct(  # of obelics.general_metadata
    [
        *((name, _TEXT) for name in ("url", "warc_filename")),
        *((f"warc_record_{name}", pa.int64()) for name in ("offset", "length")),
    ]
)
NODE_FACTS = pa.struct(  # of markdown.node_facts
    [("index", _SIZE), ("tag", _TEXT), ("level", _SIZE), ("list_depth", _SIZE), ("section", _SIZE)]
)
STRUCTURED = {  # columns that are JSON in the form by reference
    "metadata": pa.list_(IMAGE_FACTS),
    "general_metadata": PAGE_FACTS,
    "text_metadata": pa.list_(pa.list_(NODE_FACTS)),
}
CHANGED = {"images": pa.list_(IMAGE), **STRUCTURED}
SELF_CONTAINED = pa.schema(
    [
        *(pa.field(field.name, CHANGED.get(field.name, field.type)) for field in DATASET),
        pa.field("image_urls", pa.list_(pa.string())),
    ]
)
GROUP_ENDS, GROUP_ROWS = 64, 256  # a row group ends at one document in 64, or after 256


def write(source: str, target: str, images: ImageIndex) -> int:
    """Write one file of documents by reference in the self-contained form; returns its rows.

    Row groups end where ids of documents say, so that a document more or less moves the end of its
    own row group alone.
    """
    schema = shipped_files.with_features(SELF_CONTAINED)
    options = shipped_files.options(SELF_CONTAINED)
    with storage.ParquetWriter(target, schema, GROUP_ROWS, options) as writer:
        for rows in _groups(source):
            names = pc.unique(rows["image_sha256"].flatten().drop_null()).to_pylist()
            writer.write(with_images(rows, images.read(set(names))))
    return writer.rows


def _groups(source: str) -> Iterator[pa.RecordBatch]:
    for rows in storage.iter_row_groups(source):
        start = 0
        for row, doc_id in enumerate(rows["doc_id"].to_pylist()):
            ends = int(doc_id[-4:], 16) % GROUP_ENDS == 0
            if ends or row + 1 - start == GROUP_ROWS or row + 1 == rows.num_rows:
                yield rows.slice(start, row + 1 - start)
                start = row + 1


def with_images(rows: pa.RecordBatch, images: Mapping[str, Stored]) -> pa.RecordBatch:
    """Put the bytes of images, by SHA-256, in the place of their URLs, and structs for JSON."""
    listed = rows["image_sha256"]
    names = listed.flatten().to_pylist()
    found = [images.get(name) if name else None for name in names]
    paths = [
        one and f"{name}.{ENDINGS.get(one[0], one[0])}"
        for name, one in zip(names, found, strict=True)
    ]
    structs = pa.StructArray.from_arrays(
        [pa.array([one and one[1] for one in found], pa.binary()), pa.array(paths, pa.string())],
        fields=list(IMAGE),
        mask=pa.array([one is None for one in found]),
    )
    lengths = pc.list_value_length(listed).to_pylist()
    ends = [0]
    for length in lengths:
        ends.append(ends[-1] + (length or 0))
    made = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), structs)
    given = {name: rows[name] for name in DATASET.names if name in rows.schema.names}
    given |= {
        name: pa.array([json.loads(text or "null") for text in given[name].to_pylist()], kind)
        for name, kind in STRUCTURED.items()
        if name in given
    }
    given |= {"images": made, "image_urls": rows["images"]}
    arrays = [
        given[field.name] if field.name in given else pa.nulls(rows.num_rows, field.type)
        for field in SELF_CONTAINED
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SELF_CONTAINED)
