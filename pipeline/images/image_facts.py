"""What is known of fetched images, laid beside the documents that show them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from benben.pipeline import storage
from benben.pipeline.obelics import ImageFact
from benben.pipeline.schema import IMAGE_USES

FACTS = [field for field in IMAGE_USES if field.name != "key"]
NOT_FETCHED = "image.not-fetched"  # no row in `images`: the page was not asked for its images


def url_key(url: str) -> bytes:
    """Fixed-size name of a URL for joins: 16 bytes (XXH3)."""
    return xxhash.xxh3_128_digest(url.encode("utf-8", "surrogatepass"))


def image_urls(documents: pa.RecordBatch) -> tuple[list[str], np.ndarray]:
    """URLs of a batch's image nodes in order, and the row of the document each belongs to."""
    nodes = documents.column("nodes")
    flat = nodes.flatten()
    chosen = pc.equal(flat.field("kind"), "image")
    rows = pc.list_parent_indices(nodes).filter(chosen)
    return flat.field("url").filter(chosen).to_pylist(), rows.to_numpy(zero_copy_only=False)


def uses_of(images: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of IMAGES as rows of IMAGE_USES: a key in place of the URL, and facts of fixed size."""
    keys = pa.array([url_key(url) for url in images["url"].to_pylist()], pa.binary())
    columns = [images[field.name].cast(field.type) for field in FACTS]
    return pa.RecordBatch.from_arrays([keys, *columns], schema=IMAGE_USES)


class ImageFacts:
    """The facts of one part's images, looked up by URL."""

    def __init__(self, uses: pa.Table) -> None:
        self._table = uses.select([field.name for field in FACTS]).combine_chunks()
        self._row = {key: row for row, key in enumerate(uses["key"].to_pylist())}

    @classmethod
    def read(cls, path: str | None) -> ImageFacts:
        """Read a part's file of `image_uses`; without a file nothing is known."""
        return cls(storage.read_parquet(path) if path else IMAGE_USES.empty_table())

    def _rows(self, urls: Iterable[str]) -> list[int | None]:
        return [self._row.get(url_key(url)) for url in urls]

    def of_images(self, documents: pa.RecordBatch) -> pa.ListArray:
        """Facts of each document's image nodes: list<struct>, an entry an image node in order."""
        urls, owners = image_urls(documents)
        rows = pa.array(self._rows(urls), pa.int64())
        found = self._table.take(rows).combine_chunks()
        columns = [found[field.name].combine_chunks() for field in FACTS]
        unknown = rows.is_null()
        place = next(index for index, field in enumerate(FACTS) if field.name == "reason")
        columns[place] = pc.if_else(unknown, NOT_FETCHED, columns[place])
        counts = np.bincount(owners, minlength=documents.num_rows)
        offsets = np.append(0, np.cumsum(counts)).astype(np.int32)
        entries = pa.StructArray.from_arrays(columns, fields=FACTS)
        return pa.ListArray.from_arrays(pa.array(offsets), entries)

    def fetched(self, urls: Iterable[str]) -> dict[str, ImageFact]:
        """What is shipped beside a URL: the images among `urls` that were fetched."""
        known = {}
        for url in urls:
            row = self._row.get(url_key(url))
            if row is not None and self._table["reason"][row].as_py() is None:
                fact = {name: self._table[name][row].as_py() for name in ImageFact.__slots__}
                known[url] = ImageFact(**fact)
        return known
