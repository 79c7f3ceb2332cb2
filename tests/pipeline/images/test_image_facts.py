"""Facts about images, looked up for the documents that show them."""

from __future__ import annotations

import pyarrow as pa

from benben.pipeline.images.image_facts import DISABLED, ImageFacts, uses_of
from benben.pipeline.schema import DOCUMENTS, IMAGES


def test_without_a_fetch_images_are_refused_by_pages_by_lists_and_where_nobody_asked() -> None:
    reasons = {"/a": DISABLED, "/b": "consent.page", "/c": "consent.list_url", "/d": None}
    images = [{"url": url, "reason": reason} for url, reason in reasons.items()]
    uses = uses_of(pa.RecordBatch.from_pylist(images, schema=IMAGES))
    nodes = [{"kind": "text", "index": 0, "text": "x"}]
    nodes += [
        {"kind": "image", "index": index, "url": url}
        for index, url in enumerate((*reasons, "/unknown"), 1)
    ]
    rows = [{"doc_id": "x", "nodes": None}, {"doc_id": "y", "nodes": nodes}, {"nodes": nodes[:2]}]
    documents = pa.RecordBatch.from_pylist(rows, schema=DOCUMENTS)
    found = ImageFacts(pa.Table.from_batches([uses])).refused_nodes(documents).to_pylist()
    assert [[(one["index"], one["reason"]) for one in row] for row in found] == [
        [],
        [(2, "consent.page"), (3, "consent.list_url"), (5, "image.not-fetched")],
        [],
    ]
