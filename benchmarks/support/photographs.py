"""A dataset of made-up documents and photographs, laid out as `assemble` lays one out."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from benben.pipeline import manifest, storage
from benben.pipeline.dataset import shipped_files
from benben.pipeline.dataset.obelics import general_metadata
from benben.pipeline.manifest import Count, Manifest, PartFile
from benben.pipeline.schema import DATASET, IMAGE_BYTES

WIDTH, HEIGHT, QUALITY = 640, 480, 85
IMAGES, TEXTS, WORDS = 2, 6, 60  # of a document, at most; words of a text, on average
ROW_GROUP, SHARDS, HOST_PAGES = 1_000, 2, 10
VOCABULARY = 20_000


def photograph(number: int) -> bytes:
    """A JPEG of soft shapes and grain."""
    draw = np.random.default_rng([1, number])
    soft = Image.fromarray(draw.integers(0, 255, (12, 16, 3), dtype=np.uint8))
    pixels = np.asarray(soft.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)
    grain = draw.standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32) * 6
    stream = io.BytesIO()
    shown = Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
    shown.save(stream, "jpeg", quality=QUALITY)
    return stream.getvalue()


def write(folder: Path, documents: int) -> Path:
    """Write `folder`/dataset with its manifest; returns the dataset's folder."""
    target = folder / "dataset"
    rows, images = [], []
    for number in range(documents):
        mine = [photograph(IMAGES * number + place) for place in range(number % IMAGES + 1)]
        names = [hashlib.sha256(data).hexdigest() for data in mine]
        rows.append(_row(number, names))
        images += [
            {"sha256": name, "format": "jpeg", "bytes": data}
            for name, data in zip(names, mine, strict=True)
        ]
    files = []
    for shard in range(SHARDS):
        some = sorted(rows[shard::SHARDS], key=lambda row: (row["host"], row["doc_id"]))
        name = f"data/train-{shard:05d}-of-{SHARDS:05d}.parquet"
        batches = pa.Table.from_pylist(some, DATASET).to_batches(ROW_GROUP)
        files.append(_write(target, shard, name, DATASET, batches))
        batches = pa.Table.from_pylist(images[shard::SHARDS], IMAGE_BYTES).to_batches(100)
        name = f"images/images-{shard:05d}.parquet"
        grouped = shipped_files.image_groups(batches)
        files.append(_write(target, shard, name, IMAGE_BYTES, grouped))
    counts = {
        "documents": Count(entered=documents, kept=documents),
        "images": Count(entered=len(images), kept=len(images)),
    }
    made = Manifest(
        table="dataset", id="made", stage="assemble", version="1",
        config={}, inputs={}, files=files, counts=counts,
    )  # fmt: skip
    manifest.write(str(target), made)
    return target


def _write(target: Path, part: int, name: str, schema: pa.Schema, batches: Any) -> PartFile:
    options = shipped_files.options(schema)
    given = shipped_files.with_features(schema)
    with storage.ParquetWriter(str(target / name), given, options=options) as writer:
        for batch in batches:
            writer.write(batch)
    return PartFile(part=part, name=name, rows=writer.rows, bytes=writer.bytes)


def _row(number: int, names: list[str]) -> dict[str, Any]:
    draw = np.random.default_rng([2, number])
    host = f"site{number // HOST_PAGES}.example"
    url = f"http://{host}/{number}"
    texts: list[str | None] = []
    images: list[str | None] = []
    sha256: list[str | None] = []
    for place in range(TEXTS):
        words = (draw.zipf(1.2, draw.poisson(WORDS)) % VOCABULARY).tolist()
        texts.append(" ".join(f"{word * 7919 % 1_000_003:x}" for word in words))
        images.append(None)
        sha256.append(None)
        if place < len(names):
            texts.append(None)
            images.append(f"{url}/{place}.jpg")
            sha256.append(names[place])
    facts = [one and {"document_url": url, "src": one, "unformatted_src": one} for one in images]
    nodes = [text and [{"index": n, "tag": "p"} for n in range(4)] for text in texts]
    return {
        **dict.fromkeys(DATASET.names),
        "images": images,
        "texts": texts,
        "metadata": json.dumps(facts),
        "general_metadata": general_metadata(url, "made.warc.gz", number, 1000),
        "doc_id": hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest(),
        "lang": "en",
        "host": host,
        "captured_at": "2026-01-01T00:00:00Z",
        "num_images": len(names),
        "num_texts": TEXTS,
        "image_sha256": sha256,
        "text_metadata": json.dumps(nodes),
    }
