"""Image worth as tables: pairs of pictures and texts to train on, and the worth of image nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from benben.pipeline import storage
from benben.pipeline.images.image_facts import url_key
from benben.pipeline.images.worth.model import Model, Pair
from benben.pipeline.images.worth.vectors import FACT_COLUMNS, Picture, picture, text
from benben.pipeline.images.worth.words import (
    Around,
    around_images,
    name_words,
    overlap,
    words,
)
from benben.pipeline.schema import IMAGE_WORTH, IMAGES

Node = dict[str, Any]  # a row of NODE
HELD = 2_000  # pictures of a part whose vectors are remembered
ROWS = 500  # of pairs that are Python objects at once
OTHERS = 16  # images of the page that each is compared with, in the order of the page
# What the model is told of a fetched picture, stored with the part that shows it.
_OF_IMAGES = ("sha256", *FACT_COLUMNS, "look", "embedding")
PICTURES = pa.schema([("key", pa.binary()), *(IMAGES.field(name) for name in _OF_IMAGES)])
# A pair as it is kept for training.
PAIRS = pa.schema(
    [
        ("rank", pa.uint64()),  # hash of the page and the node: pairs are chosen by the least
        ("page", pa.string()),
        ("url", pa.string()),
        ("before", pa.list_(pa.string())),
        ("after", pa.list_(pa.string())),
        *(IMAGES.field(name) for name in _OF_IMAGES),
    ]
)


def pictures_of(images: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of IMAGES that have a look, as rows of PICTURES."""
    rows = images.filter(images["look"].is_valid())
    keys = pa.array([url_key(url) for url in rows["url"].to_pylist()], pa.binary())
    columns = [rows[name] for name in PICTURES.names[1:]]
    return pa.RecordBatch.from_arrays([keys, *columns], schema=PICTURES)


class KnownPictures:
    """The pictures that one part shows, by URL. Few are held as Python objects at once."""

    def __init__(self, path: str | None) -> None:
        table = storage.read_parquet(path) if path else PICTURES.empty_table()
        self._rows = table.drop_columns(["key"])
        self._place = {key: place for place, key in enumerate(table["key"].to_pylist())}
        self._made: dict[str, Picture] = {}

    def row(self, url: str) -> dict[str, Any] | None:
        """Return a picture's row of PICTURES; None if there is none."""
        place = self._place.get(url_key(url))
        return None if place is None else self._rows.slice(place, 1).to_pylist()[0]

    def picture(self, url: str) -> Picture | None:
        """Return a picture's vector; None if there is none."""
        if url not in self._made:
            row = self.row(url)
            if row is None:
                return None
            if len(self._made) >= HELD:
                self._made.clear()
            self._made[url] = picture(url, row)
        return self._made[url]


@dataclass(frozen=True, slots=True)
class Shown:
    """A page's image nodes that are left, with what stands around each."""

    doc_id: str
    page: str
    images: list[tuple[Node, Around]]  # the nodes, and what stands around each


def shown_images(documents: pa.RecordBatch, dropped: Mapping[int, set[int]]) -> Iterator[Shown]:
    """Yield the images of documents; `dropped`: nodes that do not count, by the document's row."""
    for row, one in enumerate(documents.select(["doc_id", "url", "nodes"]).to_pylist()):
        gone = dropped.get(row, set())
        nodes = [node for node in one["nodes"] or [] if node["index"] not in gone]
        columns = ([node[key] for node in nodes] for key in ("kind", "text", "caption"))
        images = [node for node in nodes if node["kind"] == "image"]
        found = zip(images, around_images(*columns), strict=True)
        yield Shown(one["doc_id"], one["url"], list(found))


def rank(page: str, index: int) -> int:
    """Return a hash of 64 bits of an image node."""
    return xxhash.xxh3_64_intdigest(f"{index} {page}".encode("utf-8", "surrogatepass"))


def sampled(shown: Shown, known: KnownPictures, share: float) -> Iterator[dict[str, Any]]:
    """Rows of PAIRS of a page's images whose rank is in the least share."""
    for node, around in shown.images:
        place, url = rank(shown.page, node["index"]), node["url"]
        row = known.row(url)
        if row is not None and (around.before or around.after) and place < share * 2**64:
            beside = {"before": list(around.before), "after": list(around.after)}
            yield {"rank": place, "page": shown.page, "url": url, **beside, **row}


def to_pairs(rows: pa.Table, most: int) -> list[Pair]:
    """The pairs of least rank; of equal ones, the same picture in the same words, the first."""
    ordered = rows.sort_by([("rank", "ascending"), ("page", "ascending")]).slice(0, most)
    found: dict[tuple[str, bytes], Pair] = {}
    for batch in ordered.to_batches(ROWS):
        for row in batch.to_pylist():
            around = Around(tuple(row["before"]), tuple(row["after"]), frozenset(), 0.0)
            beside = text(around)
            if beside is not None:
                key = row["sha256"], beside.grams.tobytes()
                found.setdefault(key, Pair(row["page"], picture(row["url"], row), beside))
    return list(found.values())


def worth_of(shown: Shown, known: KnownPictures, model: Model | None) -> Iterator[dict[str, Any]]:
    """Rows of IMAGE_WORTH of a page's images; without a model no image has a worth."""
    pictures = [known.picture(node["url"]) for node, _ in shown.images]
    present = [one for one in pictures if one is not None]
    for (node, around), own in zip(shown.images, pictures, strict=True):
        row = {"doc_id": shown.doc_id, "index": node["index"], **overlaps(node, around)}
        beside = text(around)
        if model is not None and own is not None and beside is not None:
            strange = [one for one in present if one.sha256 != own.sha256][:OTHERS]
            worth, *others = model.worth([own, *strange], beside, shown.page).tolist()
            row["worth"] = round(worth, 4)
            row["page_worth"] = round(worth - float(np.mean(others)), 4) if others else None
        yield row


def overlaps(node: Node, around: Around) -> dict[str, float | None]:
    """The share of an image's own words that stand around it, and where on the page it is."""
    return {
        "alt_overlap": overlap(words(node["alt"] or ""), around.others),
        "caption_overlap": overlap(words(node["caption"] or ""), around.others),
        "name_overlap": overlap(name_words(node["url"] or ""), around.others),
        "position": around.position,
    }


def to_batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Rows of IMAGE_WORTH as a batch."""
    return pa.RecordBatch.from_pylist(rows, schema=IMAGE_WORTH)
