"""Documents as rows of the table `documents`, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from benben.pipeline import node_columns, url
from benben.pipeline.archive.warc import Capture
from benben.pipeline.document import Document, Node, document_id
from benben.pipeline.schema import DOCUMENTS


def to_batch(captures: Sequence[Capture], documents: Sequence[Document]) -> pa.RecordBatch:
    """Rows of DOCUMENTS from captures and what extraction made of each, column by column."""
    hosts = [url.host(capture.url) for capture in captures]
    columns = {
        "doc_id": [
            document_id(capture.warc, capture.offset, capture.url, capture.payload_digest)
            for capture in captures
        ],
        "url": [capture.url for capture in captures],
        "url_key": [url.url_key(capture.url) for capture in captures],
        "host": hosts,
        "domain": [url.domain(host) for host in hosts],
        "warc": [capture.warc for capture in captures],
        "warc_offset": [capture.offset for capture in captures],
        "warc_length": [capture.length for capture in captures],
        "captured_at": [capture.captured_at for capture in captures],
        "payload_digest": [capture.payload_digest for capture in captures],
        "status": [capture.status for capture in captures],
        "title": [document.title for document in documents],
        "lang": [document.lang for document in documents],
        "charset": [document.charset for document in documents],
        "opt_outs": [document.opt_outs for document in documents],
        "licenses": [document.licenses for document in documents],
        "page_images": [document.page_images for document in documents],
        "reason": [document.reason for document in documents],
        "nodes": _nodes(documents),
    }
    return pa.RecordBatch.from_pydict(columns, schema=DOCUMENTS)


def _nodes(documents: Sequence[Document]) -> pa.ListArray:
    pages = [node_columns.from_nodes(document.nodes) for document in documents]
    offsets = np.cumsum([0, *(len(page) for page in pages)], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), node_columns.to_array(pages))


_DOCUMENT_FIELDS = [field.name for field in fields(Document) if field.name in DOCUMENTS.names]
_LISTS = ("opt_outs", "licenses", "page_images")


def from_batch(rows: pa.RecordBatch) -> list[Document]:
    """Documents from rows; columns that were not read keep their defaults."""
    found: list[Document] = []
    for row in rows.select([n for n in _DOCUMENT_FIELDS if n in rows.schema.names]).to_pylist():
        row["nodes"] = [Node(**node) for node in row.get("nodes") or ()]
        values: dict[str, Any] = {n: tuple(v or ()) if n in _LISTS else v for n, v in row.items()}
        found.append(Document(**values))
    return found
