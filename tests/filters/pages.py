"""Small pages as batches of DOCUMENTS for the tests of signals and rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from benben.filters.signal_table import measure_batch
from benben.pipeline import config, schema
from benben.pipeline.settings.signals import RuleSettings, SignalSettings

SETTINGS: SignalSettings = config.load("default", ["input=[x]"]).signals
OBELICS = config.load("obelics", ["input=[x]"])


def text(text: str, **facts: Any) -> dict[str, Any]:
    return {"kind": "text", "text": text, "link_share": 0.0, "content_score": 1.0, **facts}


def image(url: str = "https://example.com/photo.jpg", **facts: Any) -> dict[str, Any]:
    return {"kind": "image", "url": url, "link_share": 0.0, **facts}


def page(*nodes: dict[str, Any], **facts: Any) -> dict[str, Any]:
    placed = [{"index": index, **node} for index, node in enumerate(nodes)]
    return {"doc_id": "0", "url": "https://example.com/", "nodes": placed, **facts}


def batch(*pages: dict[str, Any]) -> pa.RecordBatch:
    rows = [{**one, "doc_id": str(row)} for row, one in enumerate(pages)]
    return pa.RecordBatch.from_pylist(rows, schema=schema.DOCUMENTS)


def measure(*pages: dict[str, Any], settings: SignalSettings = SETTINGS) -> pa.RecordBatch:
    return measure_batch(batch(*pages), settings)


def paragraphs(*texts: str, settings: SignalSettings = SETTINGS) -> Sequence[dict[str, Any]]:
    """Paragraph signals of one page with a text node for each text."""
    found = measure(page(*(text(one) for one in texts)), settings=settings)
    return list(found.column("paragraphs")[0].as_py())


def rules(**scopes: Any) -> RuleSettings:
    return RuleSettings.model_validate(scopes)
