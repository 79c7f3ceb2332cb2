"""A made set: drawn shapes whose captions name colour and shape. For tests and evaluation."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from benben.trainer.counter import generator

COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (31, 90, 200),
    "yellow": (240, 200, 20),
    "black": (20, 20, 20),
    "purple": (140, 60, 170),
}
SHAPES = ("circle", "square", "triangle", "cross")
FILLER = (
    "We drew this one on a rainy afternoon.",
    "The next picture hangs in the hall.",
    "Somebody asked for another drawing.",
    "There was still some paper left.",
)


@dataclass(frozen=True)
class Example:
    """A drawing and what is on it."""

    colour: str
    shape: str
    png: bytes

    @property
    def caption(self) -> str:
        return f"A {self.colour} {self.shape}."


def draw(colour: str, shape: str, random: np.random.Generator, size: int = 48) -> bytes:
    """Return a PNG of one shape at a random place and size on a pale ground."""
    ground = tuple(int(v) for v in random.integers(225, 256, 3))
    image = Image.new("RGB", (size, size), ground)
    pen, fill = ImageDraw.Draw(image), COLOURS[colour]
    r = int(random.integers(size // 5, size // 3))
    x, y = (int(random.integers(r + 1, size - r - 1)) for _ in range(2))
    if shape == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)
    elif shape == "square":
        pen.rectangle((x - r, y - r, x + r, y + r), fill=fill)
    elif shape == "triangle":
        pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=fill)
    else:
        pen.rectangle((x - r, y - r // 3, x + r, y + r // 3), fill=fill)
        pen.rectangle((x - r // 3, y - r, x + r // 3, y + r), fill=fill)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def examples(count: int, *key: object) -> list[Example]:
    """Return drawings, the same for the same key."""
    random = generator("made", *key)
    result = []
    for _ in range(count):
        colour = str(random.choice(list(COLOURS)))
        shape = str(random.choice(SHAPES))
        result.append(Example(colour, shape, draw(colour, shape, random)))
    return result


def write_dataset(folder: Path, documents: int, seed: int = 0, rows: int = 64) -> Path:
    """Write documents of 1 to 3 drawings with text as `data/` and `images/` parquet.

    Every tenth document has text alone; languages take turns so that mixtures have some.
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


def write_long(folder: Path, documents: int, sentences: int, seed: int = 0) -> Path:
    """Write documents of text alone, of many short sentences, as `data/` parquet.

    Each names a drawing twice with a sentence between, so that near context tells.
    """
    random = generator("long", seed)
    rows: list[dict[str, object]] = []
    for number in range(documents):
        parts = []
        for _ in range(sentences // 3):
            colour, shape = str(random.choice(list(COLOURS))), str(random.choice(SHAPES))
            parts += [f"A {colour} {shape}.", str(random.choice(FILLER))]
            parts.append(f"The {shape} is {colour}.")
        text = " ".join(parts)
        row = {"images": [None], "texts": [text], "doc_id": f"long-{seed}-{number}", "lang": "en"}
        rows.append(row)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    schema = pa.schema(
        [
            ("images", pa.list_(pa.string())),
            ("texts", pa.list_(pa.string())),
            ("doc_id", pa.string()),
            ("lang", pa.string()),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "data" / "part-0.parquet")
    return folder
