"""A synthetic dataset of drawings with captions, as the pipeline writes one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benben.trainer.counter_rng import generator
from benben.trainer.evaluation.synthetic import examples

FILLER = (
    "We drew this one on a rainy afternoon.",
    "The next picture hangs in the hall.",
    "Somebody asked for another drawing.",
    "There was still some paper left.",
)
COLUMNS = (
    "images",
    "texts",
    "metadata",
    "general_metadata",
    "doc_id",
    "lang",
    "host",
    "image_sha256",
)


def write_dataset(folder: Path, documents: int, seed: int = 0, rows: int = 64) -> Path:
    """Write documents of 1 to 3 drawings with text as `data/` and `images/` parquet.

    Every tenth document has text alone; languages alternate, so that there are some to mix.
    """
    random = generator("dataset", seed)
    drawings = examples(3 * documents, "dataset", seed)
    table: dict[str, list[object]] = {name: [] for name in COLUMNS}
    store: dict[str, bytes] = {}
    for number in range(documents):
        images: list[str | None] = []
        texts: list[str | None] = []
        digests: list[str | None] = []
        for i in range(0 if number % 10 == 9 else int(random.integers(1, 4))):
            example = drawings[3 * number + i]
            digest = hashlib.sha256(example.png).hexdigest()
            store[digest] = example.png
            images += [f"https://example.org/{number}/{i}.png", None]
            texts += [None, example.caption]
            digests += [digest, None]
        images.append(None)
        texts.append(str(random.choice(FILLER)))
        digests.append(None)
        values = (
            images,
            texts,
            json.dumps([None] * len(images)),
            json.dumps({"url": f"https://site{number % 37}.example.org/{number}"}),
            f"made-{seed}-{number}",
            ("en", "de", "sw")[number % 3 if number % 6 else 0],
            f"site{number % 37}.example.org",
            digests,
        )
        for name, value in zip(COLUMNS, values, strict=True):
            table[name].append(value)
    for name in ("data", "images"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), folder / "data" / "part-0.parquet", row_group_size=rows)
    stored = {
        "sha256": list(store),
        "format": ["PNG"] * len(store),
        "bytes": list(store.values()),
    }
    pq.write_table(pa.table(stored), folder / "images" / "part-0.parquet", row_group_size=4 * rows)
    return folder
