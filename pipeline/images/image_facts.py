"""What is known about fetched images, looked up for the documents that show them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from benben.pipeline import storage
from benben.pipeline.dataset.obelics import ImageFact
from benben.pipeline.schema import IMAGE_USES, IMAGE_WORTH, VERDICTS

OF_URLS = [field for field in IMAGE_USES if field.name != "key"]
OF_NODES = [field for field in IMAGE_WORTH if field.name not in ("doc_id", "index")]
FACTS = [*OF_URLS, *OF_NODES]
NOT_FETCHED = "image.not-fetched"  # reason of an image without a row in `images`
DISABLED = "fetch.disabled"  # reason of an image that is not refused, in a run without a fetch
DROPPED = VERDICTS.field("dropped").type


def url_key(url: str) -> bytes:
    """Key of fixed size for joins by URL: 16 bytes (XXH3)."""
    return xxhash.xxh3_128_digest(url.encode("utf-8", "surrogatepass"))


def image_urls(documents: pa.RecordBatch) -> tuple[list[str], np.ndarray]:
    """URLs of a batch's image nodes in order, and the row of each one's document."""
    nodes = documents.column("nodes")
    flat = nodes.flatten()
    chosen = pc.equal(flat.field("kind"), "image")
    rows = pc.list_parent_indices(nodes).filter(chosen)
    return flat.field("url").filter(chosen).to_pylist(), rows.to_numpy(zero_copy_only=False)


def uses_of(images: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of IMAGES as rows of IMAGE_USES: a key in place of the URL, and facts of fixed size."""
    keys = pa.array([url_key(url) for url in images["url"].to_pylist()], pa.binary())
    columns = [images[field.name].cast(field.type) for field in OF_URLS]
    return pa.RecordBatch.from_arrays([keys, *columns], schema=IMAGE_USES)


class ImageFacts:
    """The facts about one part's images, by URL."""

    def __init__(self, uses: pa.Table, worth: pa.Table | None = None) -> None:
        self._table = uses.select([field.name for field in OF_URLS]).combine_chunks()
        self._row = {key: row for row, key in enumerate(uses["key"].to_pylist())}
        worth = IMAGE_WORTH.empty_table() if worth is None else worth
        self._worth = worth.select([field.name for field in OF_NODES]).combine_chunks()
        nodes = zip(worth["doc_id"].to_pylist(), worth["index"].to_pylist(), strict=True)
        self._worth_row = {node: row for row, node in enumerate(nodes)}

    @classmethod
    def read(cls, uses: str | None, worth: str | None = None) -> ImageFacts:
        """Read a part's files of `image_uses` and `image_worth`; what has no file is not known."""
        table = storage.read_parquet(uses) if uses else IMAGE_USES.empty_table()
        return cls(table, storage.read_parquet(worth) if worth else None)

    def of_images(self, documents: pa.RecordBatch) -> pa.ListArray:
        """Facts about each document's image nodes: list<struct>, one entry a node, in order."""
        urls, owners = image_urls(documents)
        rows = pa.array([self._row.get(url_key(url)) for url in urls], pa.int64())
        found = self._table.take(rows).combine_chunks()
        columns = [found[field.name].combine_chunks() for field in OF_URLS]
        columns += self._worth_of(documents)
        reason = next(index for index, field in enumerate(FACTS) if field.name == "reason")
        columns[reason] = pc.if_else(rows.is_null(), NOT_FETCHED, columns[reason])
        counts = np.bincount(owners, minlength=documents.num_rows)
        offsets = np.append(0, np.cumsum(counts)).astype(np.int32)
        entries = pa.StructArray.from_arrays(columns, fields=FACTS)
        return pa.ListArray.from_arrays(pa.array(offsets), entries)

    def _worth_of(self, documents: pa.RecordBatch) -> list[pa.Array]:
        """Columns OF_NODES of each image node of the documents."""
        nodes = documents.column("nodes")
        flat = nodes.flatten()
        chosen = pc.equal(flat.field("kind"), "image")
        if not self._worth_row:
            return [pa.nulls(pc.sum(chosen).as_py() or 0, field.type) for field in OF_NODES]
        owners = documents["doc_id"].take(pc.list_parent_indices(nodes).filter(chosen)).to_pylist()
        index = flat.field("index").filter(chosen).to_pylist()
        places = [self._worth_row.get(node) for node in zip(owners, index, strict=True)]
        found = self._worth.take(pa.array(places, pa.int64())).combine_chunks()
        return [found[field.name].combine_chunks() for field in OF_NODES]

    def refused_nodes(self, documents: pa.RecordBatch) -> pa.ListArray:
        """Image nodes that may not be used, in the form of the column `dropped`.

        For a run without a fetch: those that a page or a list refused, and those nobody asked for.
        """
        found = self.of_images(documents)
        reason = found.flatten().field("reason")
        flat = documents.column("nodes").flatten()
        index = flat.field("index").filter(pc.equal(flat.field("kind"), "image"))
        refused = pc.and_(reason.is_valid(), pc.not_equal(reason, DISABLED)).fill_null(False)
        rows = pc.list_parent_indices(found).filter(refused)
        counts = np.bincount(rows.to_numpy(zero_copy_only=False), minlength=documents.num_rows)
        offsets = pa.array(np.append(0, np.cumsum(counts)), pa.int32())
        known = {"index": index.filter(refused), "reason": reason.filter(refused)}
        fields = list(DROPPED.value_type)
        nothing = pa.nulls(len(known["index"]))
        columns = [known.get(field.name, nothing).cast(field.type) for field in fields]
        return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(columns, fields=fields))

    def fetched(self, urls: Iterable[str]) -> dict[str, ImageFact]:
        """The facts that the dataset holds about those of the URLs that were fetched."""
        known = {}
        for url in urls:
            row = self._row.get(url_key(url))
            if row is not None and self._table["reason"][row].as_py() is None:
                fact = {name: self._table[name][row].as_py() for name in ImageFact.__slots__}
                known[url] = ImageFact(**fact)
        return known
