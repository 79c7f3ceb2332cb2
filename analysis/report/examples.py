"""Examples shown in a report: shipped documents, and rejected documents and nodes with reasons.

Examples are chosen by document id alone, so equal runs give equal reports.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benben.analysis.query import Query
from benben.analysis.safe_html import thumbnail
from benben.analysis.tables import RunTables
from benben.filters.signals.text import split
from benben.pipeline.dataset.obelics import BREAK_TEXT

SHIPPED_CHARS = 1_200  # shown of one text of a shipped document
REJECTED_DOCUMENT_CHARS = 400
REJECTED_NODE_CHARS = 300
DOCUMENTS_PER_REASON = 2
NODES_PER_REASON = 4


@dataclass(frozen=True)
class Slot:
    """One position of a shipped document: a text, a break or an image."""

    kind: str
    text: str = ""  # the image's URL, for images
    picture: str | None = None  # data URI


@dataclass(frozen=True)
class ShippedDocument:
    """A shipped document, ready for display."""

    doc_id: str
    url: str
    lang: str
    words: int
    slots: list[Slot]


@dataclass(frozen=True)
class Rejected:
    """A rejected document or node, and why it was rejected."""

    reason: str
    url: str
    text: str
    value: float | None = None
    bound: float | None = None
    detail: str = ""


def shipped_documents(tables: RunTables, number: int) -> list[ShippedDocument]:
    """The `number` shipped documents with the smallest ids, with thumbnails of stored images."""
    query = Query(tables)
    ids = [row[0] for row in query.rows(f"select doc_id from data order by 1 limit {int(number)}")]
    rows: Any = tables.lookup("dataset/data", "doc_id", ids)
    wanted = sorted({sha for row in rows.values() for sha in row["image_sha256"] if sha})
    stored: Any = tables.lookup("dataset/images", "sha256", wanted)
    pictures = {sha: thumbnail(row["bytes"]) for sha, row in stored.items()}
    return [shipped_document(rows[doc_id], pictures) for doc_id in ids]


def shipped_document(row: Mapping[str, Any], pictures: Mapping[str, str | None]) -> ShippedDocument:
    """Prepare a row of the dataset for display; `pictures` maps sha256 to a data URI."""
    slots = []
    for text, url, sha in zip(row["texts"], row["images"], row["image_sha256"], strict=True):
        if text == BREAK_TEXT:
            slots.append(Slot("break"))
        elif text is not None:
            slots.append(Slot("text", _shortened(text, SHIPPED_CHARS)))
        else:
            slots.append(Slot("image", url, pictures.get(sha)))
    page_url = str(json.loads(row["general_metadata"])["url"])
    return ShippedDocument(row["doc_id"], page_url, row["lang"] or "", row["num_words"], slots)


def rejected_documents(tables: RunTables) -> list[Rejected]:
    """A few documents for each reason that was the first to reject one."""
    query = Query(tables)
    chosen = query.rows(
        f"""
        select min_by(doc_id, doc_id, {DOCUMENTS_PER_REASON}) from {tables.verdicts}
        where len(reasons) > 0 group by reasons[1] order by reasons[1]
        """
    )
    ids = [doc_id for row in chosen for doc_id in row[0]]
    verdicts: Any = tables.lookup(tables.verdicts, "doc_id", ids)
    documents: Any = tables.lookup("documents", "doc_id", ids)
    duplicates: Any = tables.duplicates(ids)
    return [_rejected_document(documents[one], verdicts[one], duplicates.get(one)) for one in ids]


def rejected_nodes(tables: RunTables) -> list[Rejected]:
    """A few nodes for each reason, from documents that were kept."""
    query = Query(tables)
    chosen = query.rows(
        f"""
        select min_by(
            {{'doc_id': doc_id, 'drop': dropped}}, (doc_id, dropped.index), {NODES_PER_REASON}
        )
        from (select doc_id, unnest(dropped) as dropped from {tables.verdicts} where kept)
        group by dropped.reason order by dropped.reason
        """
    )
    drops = [entry for row in chosen for entry in row[0]]
    documents: Any = tables.lookup("documents", "doc_id", [drop["doc_id"] for drop in drops])
    return [_rejected_node(documents[drop["doc_id"]], drop["drop"]) for drop in drops]


def _rejected_document(
    document: Mapping[str, Any], verdict: Mapping[str, Any], duplicate: Mapping[str, Any] | None
) -> Rejected:
    texts = [node["text"] for node in document["nodes"] or [] if node["text"]]
    notes = [f"also {reason}" for reason in verdict["reasons"][1:]]
    if duplicate and duplicate["kept_id"]:
        notes.append(f"kept instead: {duplicate['kept_id']}")
    values, bounds = verdict["values"] or [None], verdict["bounds"] or [None]
    text = _shortened("\n\n".join(texts), REJECTED_DOCUMENT_CHARS)
    reason = verdict["reasons"][0]
    return Rejected(reason, document["url"], text, values[0], bounds[0], ", ".join(notes))


def _rejected_node(document: Mapping[str, Any], drop: Mapping[str, Any]) -> Rejected:
    node = next(node for node in document["nodes"] if node["index"] == drop["index"])
    text = _shortened(_node_text(node, drop["paragraph"]), REJECTED_NODE_CHARS)
    return Rejected(drop["reason"], document["url"], text, drop["value"], drop["bound"])


def _node_text(node: Mapping[str, Any], paragraph: int | None) -> str:
    """A dropped node's text, one paragraph of it, or its image's URL."""
    if node["text"] is None:
        return str(node["url"] or "")
    return str(node["text"] if paragraph is None else split(node["text"])[paragraph])


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit].rstrip()} …"
