"""Which images to fetch: those of kept nodes of kept documents, unless a page opted out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import storage
from benben.pipeline.consent.image_consent import page_reason
from benben.pipeline.deduplication.duplicates import Duplicates
from benben.pipeline.images.fetch.outcome import owner
from benben.pipeline.settings.fetch import FetchSettings

BATCH_DOCUMENTS = 1_000
PLACE = ("url", "warc", "warc_offset", "warc_length")
COLUMNS = ["doc_id", "opt_outs", "reason", *PLACE]
ARCHIVED = "capture.not-html"  # a row of `documents` that may be an image's own response

# What one page, or one archived image, says of an image URL.
MENTIONS = pa.schema(
    [
        ("url", pa.string()),
        ("wanted", pa.bool_()),  # by a kept node of a kept document
        ("opt_out", pa.string()),  # reason, when the page opted out
        ("warc", pa.string()),  # where the image's own response is archived
        ("warc_offset", pa.int64()),
        ("warc_length", pa.int64()),
    ]
)

WANTED = pa.schema(
    [
        ("owner", pa.string()),
        ("url", pa.string()),
        ("target", pa.string()),  # differs from `url` after redirects
        ("hops", pa.int32()),
        ("opt_out", pa.string()),
        ("warc", pa.string()),
        ("warc_offset", pa.int64()),
        ("warc_length", pa.int64()),
    ]
)


class WantedImage(NamedTuple):
    """A row of WANTED."""

    owner: str
    url: str
    target: str
    hops: int = 0
    opt_out: str | None = None
    warc: str | None = None
    warc_offset: int | None = None
    warc_length: int | None = None

    @classmethod
    def of(cls, url: str) -> WantedImage:
        """An image asked for the first time."""
        return cls(owner(url), url, url)


@dataclass(frozen=True)
class WantedFile:
    """The rows of one file of WANTED; can be read again."""

    path: str

    def __iter__(self) -> Iterator[WantedImage]:
        for batch in storage.iter_parquet(self.path, WANTED.names):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield WantedImage(*values)


def mentions(paths: Mapping[str, str], settings: FetchSettings) -> Iterator[pa.RecordBatch]:
    """What one part of `documents` says of images, given the same part of the other tables.

    `paths`: file by table name; `verdicts` is needed, `duplicates` may be absent. Rows of
    captures that are no pages stand for images inside the archives.
    """
    duplicates = Duplicates.read(paths.get("duplicates"))
    for documents, verdicts in storage.iter_aligned(
        [paths["documents"], paths["verdicts"]],
        [[*COLUMNS, "nodes"], ["kept", "dropped"]],
        BATCH_DOCUMENTS,
    ):
        kept = np.asarray(verdicts["kept"]) & ~duplicates.gone(documents)
        dropped = [verdicts["dropped"], duplicates.dropped(documents)]
        images = _image_nodes(documents["nodes"])
        rows: list[dict[str, Any]] = []
        for number, page in enumerate(documents.select(COLUMNS).to_pylist()):
            if page["reason"] == ARCHIVED:
                rows.append({name: page[name] for name in PLACE} | {"wanted": False})
            elif page["reason"] is None and number in images:
                opt_out = page_reason(page["opt_outs"] or (), settings.consent, settings.product)
                if kept[number] or opt_out is not None:
                    gone = {loss["index"] for column in dropped for loss in column[number].as_py()}
                    for index, url in images[number]:
                        wanted = bool(kept[number]) and index not in gone
                        rows.append({"url": url, "wanted": wanted, "opt_out": opt_out})
        yield pa.RecordBatch.from_pylist(rows, schema=MENTIONS)


def _image_nodes(nodes: pa.ListArray) -> dict[int, list[tuple[int, str]]]:
    """Row number -> (node index, URL) of its image nodes."""
    found: dict[int, list[tuple[int, str]]] = {}
    rows, flat = pc.list_parent_indices(nodes), nodes.flatten()
    chosen = pc.and_(pc.equal(flat.field("kind"), "image"), pc.is_valid(flat.field("url")))
    columns = [rows, flat.field("index"), flat.field("url")]
    for row, index, url in zip(
        *(column.filter(chosen).to_pylist() for column in columns), strict=True
    ):
        found.setdefault(row, []).append((index, url))
    return found
