"""Hits as a page of results shows them: title, address, the start of the text, small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benben.analysis.explore.index import Index
from benben.analysis.provenance.history import stored_pictures
from benben.analysis.tables import RunTables
from benben.filters.signals.text import split

TITLE_CHARS = 120
PREVIEW_CHARS = 280
PICTURES = 3  # of a hit
SIDE = 112  # pixels
COLUMNS = [
    *("doc_id", "url", "title", "page_type", "nodes.list.element.kind"),
    *("nodes.list.element.text", "nodes.list.element.url", "nodes.list.element.index"),
]


@dataclass(frozen=True)
class Hit:
    """A document that was found."""

    doc_id: str
    url: str
    title: str
    page_type: str
    lang: str
    kept: bool
    reasons: list[str]
    preview: str  # of its kept texts; of all, where none was kept
    images: int  # kept image nodes
    pictures: list[str] = field(default_factory=list)  # data URIs
    value: float | None = None  # of the signal that orders the hits


def read(
    index: Index, rows: Sequence[int], values: Sequence[float] = (), pictures: bool = True
) -> list[Hit]:
    """The documents of rows of the index, in this order."""
    tables = index.tables
    found = index.read(rows, COLUMNS)
    ids = [index.doc_id(row) for row in rows]
    judged: Any = index.read_verdicts(rows)
    shown = {row: _kept_nodes(found[row], judged[row]) for row in rows}
    wanted = {row: [one["url"] for one in shown[row] if one["kind"] == "image"] for row in rows}
    small = _pictures(tables, [url for row in rows for url in wanted[row][:PICTURES]])
    hits = []
    for place, (row, doc_id) in enumerate(zip(rows, ids, strict=True)):
        document, verdict = found[row], judged[row]
        texts = [text for node in shown[row] for text in _kept_texts(node, verdict)]
        thumbs = [picture for url in wanted[row][:PICTURES] if (picture := small.get(url))]
        hits.append(
            Hit(
                doc_id=doc_id,
                url=document["url"],
                title=(document["title"] or "")[:TITLE_CHARS],
                page_type=document.get("page_type") or "",
                lang=verdict["lang"] or "",
                kept=verdict["kept"],
                reasons=verdict["reasons"] or [],
                preview=" ".join(" ".join(texts)[: 2 * PREVIEW_CHARS].split())[:PREVIEW_CHARS],
                images=len(wanted[row]),
                pictures=thumbs if pictures else [],
                value=values[place] if values else None,
            )
        )
    return hits


def _kept_texts(node: dict[str, Any], verdict: dict[str, Any]) -> list[str]:
    """Paragraphs of a node, without those that were dropped from a kept document."""
    if not node["text"]:
        return []
    gone = {one["paragraph"] for one in verdict["dropped"] or [] if one["index"] == node["index"]}
    texts = split(node["text"])
    return [text for place, text in enumerate(texts) if place not in gone or not verdict["kept"]]


def _kept_nodes(document: dict[str, Any], verdict: dict[str, Any]) -> list[dict[str, Any]]:
    """Nodes with a part that was kept; all nodes, if none was."""
    nodes = document["nodes"] or []
    gone = {one["index"] for one in verdict["dropped"] or [] if one["paragraph"] is None}
    kept = [node for node in nodes if node["index"] not in gone]
    return kept if any(node["text"] for node in kept) else nodes


def _pictures(tables: RunTables, urls: Sequence[str]) -> dict[str, str]:
    """Small pictures of the images whose bytes the run has, by URL."""
    facts: Any = tables.lookup("images", "url", urls, ["url", "sha256"]) if urls else {}
    stored = stored_pictures(tables, [fact["sha256"] for fact in facts.values()], SIDE)
    return {
        url: picture
        for url, fact in facts.items()
        if (picture := stored.get(fact["sha256"] or "")) is not None
    }
