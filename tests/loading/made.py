"""Small datasets in either form, for tests of what reads them."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benben.pipeline.dataset.obelics import BREAK_TEXT, general_metadata
from benben.pipeline.schema import DATASET, IMAGE_BYTES

BROKEN = b"\xff\xd8\xff\xe0 no picture at all"
MISSING = "ff" * 32  # named by a document, and in no file


def jpeg(number: int, width: int = 24, height: int = 16) -> bytes:
    """A picture whose first pixel has about the colour (number, 0, 255 - number)."""
    colour = (number % 256, 0, 255 - number % 256)
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "jpeg", quality=95)
    return stream.getvalue() + str(number).encode()  # bytes of its own


def row(number: int, digests: list[str | None]) -> dict[str, Any]:
    """A document: a text, then for each picture the picture and a text, a break in the middle."""
    images: list[str | None] = [None]
    texts: list[str | None] = [f"Document {number} begins."]
    sha256: list[str | None] = [None]
    for place, digest in enumerate(digests):
        images += [f"http://example.org/{number}/{place}.jpg", None]
        texts += [None, f"After picture {place}." if place else BREAK_TEXT]
        sha256 += [digest, None]
    url = f"http://example.org/{number}"
    entries = [one and {"document_url": url, "src": one, "alt_text": "drawn"} for one in images]
    return {
        **dict.fromkeys(DATASET.names),
        "images": images,
        "texts": texts,
        "metadata": json.dumps(entries),
        "general_metadata": general_metadata(url, "a.warc.gz", number, 10),
        "doc_id": hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest(),
        "lang": "en",
        "host": "example.org",
        "num_images": len(digests),
        "image_sha256": sha256,
        "text_metadata": json.dumps([text and [{"index": 0, "tag": "p"}] for text in texts]),
    }


def write_dataset(folder: Path, documents: int = 40, group: int = 7, files: int = 2) -> Path:
    """Write `data` (by reference) and `images`; document k has k % 3 pictures.

    In document 1 the picture has no digest, in document 2 the first is broken and the second is in
    no file.
    """
    stored: dict[str, bytes] = {hashlib.sha256(BROKEN).hexdigest(): BROKEN}
    rows = []
    for number in range(documents):
        made = [jpeg(100 * number + place) for place in range(number % 3)]
        digests: list[str | None] = [hashlib.sha256(data).hexdigest() for data in made]
        if number == 1:
            digests = [None]
        elif number == 2:
            digests = [hashlib.sha256(BROKEN).hexdigest(), MISSING]
        else:
            stored |= {hashlib.sha256(data).hexdigest(): data for data in made}
        rows.append(row(number, digests))
    parts = np.array_split(np.arange(documents), files)
    for number, part in enumerate(parts):
        name = f"data/train-{number:05d}-of-{files:05d}.parquet"
        _write(folder / name, [rows[i] for i in part], DATASET, group)
    images = [{"sha256": s, "format": "jpeg", "bytes": b} for s, b in sorted(stored.items())]
    for number, some in enumerate((images[::2], images[1::2])):
        _write(folder / f"images/images-{number:05d}.parquet", some, IMAGE_BYTES, 3)
    return folder


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema, group: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=group)
