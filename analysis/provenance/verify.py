"""Reproduce shipped rows from their archives and compare: `benben verify RUN --input ARCHIVES`.

For each row of a sample, reads the capture at the row's byte range, checks its digest, extracts the
page with the run's settings, applies the stored verdict and the run's redaction, and compares the
result with the shipped row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from benben.analysis.provenance.archives import Archives
from benben.analysis.query import Query
from benben.analysis.tables import RunTables
from benben.filters.shipped import kept_nodes
from benben.filters.signals import pii
from benben.pipeline.archive.warc import Capture
from benben.pipeline.dataset.obelics import ImageFact, Row, to_row
from benben.pipeline.document import Document
from benben.pipeline.errors import InputError
from benben.pipeline.page.extract import extract_page
from benben.pipeline.settings.extract import ExtractSettings


def verify(tables: RunTables, available: Archives, sample: int) -> Iterator[tuple[str, str]]:
    """Yield (document id, what differs) for a sample of shipped rows; "" when nothing differs.

    The sample is the rows whose ids have the smallest hashes, the same in each call. Raises
    InputError when the run has no dataset or an archive is not available.
    """
    dataset, made = tables.need("dataset"), tables.need("documents")
    settings = ExtractSettings.model_validate(made.config["extract"])
    shipping = dataset.config.get("assemble", {})
    redact, markdown = shipping.get("redact", []), shipping.get("text") == "markdown"
    chosen = Query(tables).rows(f"select doc_id from data order by md5(doc_id) limit {int(sample)}")
    ids = [doc_id for (doc_id,) in chosen]
    shipped: Any = tables.lookup("dataset/data", "doc_id", ids)
    columns = ["doc_id", "url", "warc", "warc_offset", "warc_length", "payload_digest"]
    documents: Any = tables.lookup("documents", "doc_id", ids, columns)
    verdicts: Any = tables.lookup(tables.verdicts, "doc_id", ids, ["doc_id", "dropped"])
    facts = _facts(tables, shipped.values())
    for doc_id in ids:
        document = documents[doc_id]
        url = available.find(document["warc"])
        if url is None:
            name = document["warc"]
            raise InputError(f"{name}: this archive is not among the inputs; add it with --input")
        try:
            capture = available.read(url, document["warc_offset"], document["warc_length"])
        except (OSError, ValueError) as error:
            yield doc_id, f"cannot be read again: {error}"
            continue
        page = _extracted(capture, document, settings)
        if isinstance(page, str):
            yield doc_id, page
            continue
        nodes = kept_nodes(page, verdicts[doc_id]["dropped"] or [])
        row = to_row(pii.redact_nodes(nodes, redact)[0], page.url, facts, markdown)
        yield doc_id, _differences(row, shipped[doc_id])


def _extracted(
    capture: Capture, document: Mapping[str, Any], settings: ExtractSettings
) -> Document | str:
    """The extracted page; a message when the capture is not the one that the run read."""
    if capture.payload_digest != document["payload_digest"]:
        return f"the digest is {capture.payload_digest}, but was {document['payload_digest']}"
    return extract_page(capture.payload, capture.url, capture.headers, settings)


def _differences(reproduced: Row, shipped: Mapping[str, Any]) -> str:
    made = {
        "texts": reproduced.texts,
        "images": reproduced.images,
        "image_sha256": reproduced.sha256,
        "metadata": reproduced.metadata,
    }
    stored = {**shipped, "metadata": json.loads(shipped["metadata"])}
    names = [name for name, value in made.items() if value != stored[name]]
    return f"differs in {', '.join(names)}" if names else ""


def _facts(tables: RunTables, rows: Any) -> dict[str, ImageFact]:
    urls = sorted({url for row in rows for url in row["images"] if url})
    columns = ["url", "reason", "sha256", "width", "height", "format"]
    found: Any = tables.lookup("images", "url", urls, columns)
    return {
        url: ImageFact(row["sha256"], row["width"], row["height"], row["format"])
        for url, row in found.items()
        if row["reason"] is None
    }
