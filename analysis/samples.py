"""Choose what a report shows: shipped documents, and rejected ones and nodes with the reason.

The choice depends on ids alone, so equal runs give equal reports.
"""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from analysis.tables import RunTables
from analysis.thumbnail import data_uri
from filters.paragraphs import split
from pipeline import storage
from pipeline.obelics import BREAK_TEXT

TEXT_CHARS = 1_200  # of a slot or node; the rest is cut
REJECTED_EACH = 2  # examples a reason
NODES_EACH = 4


@dataclass(frozen=True)
class Slot:
    """One position of a shipped document: a text, a break or an image."""

    kind: str
    text: str = ""
    picture: str | None = None  # data: URI


@dataclass(frozen=True)
class Shown:
    """A shipped document as it is rendered."""

    doc_id: str
    url: str
    lang: str
    words: int
    slots: list[Slot]


@dataclass(frozen=True)
class Rejected:
    """A document or node that went, and why."""

    reason: str
    url: str
    text: str
    value: float | None = None
    bound: float | None = None
    detail: str = ""


@dataclass
class _Cheapest:
    """The first few of a stream by key, without keeping the stream."""

    size: int
    heap: list[Any] = field(default_factory=list)

    def offer(self, key: str, item: Any) -> None:
        entry = (_Reversed(key), item)
        if len(self.heap) < self.size:
            heapq.heappush(self.heap, entry)
        elif self.size and key < self.heap[0][0].key:
            heapq.heapreplace(self.heap, entry)

    def items(self) -> list[Any]:
        return [item for _, item in sorted(self.heap, key=lambda entry: entry[0].key)]


@dataclass(frozen=True)
class _Reversed:
    key: str

    def __lt__(self, other: _Reversed) -> bool:
        return self.key > other.key


def shipped(tables: RunTables, number: int) -> list[Shown]:
    """The documents with the smallest ids; images from the stored bytes."""
    chosen = _Cheapest(number)
    for batch in tables.batches("dataset/data"):
        for row in batch.to_pylist():
            chosen.offer(row["doc_id"], row)
    rows = chosen.items()
    wanted = sorted({sha for row in rows for sha in row["image_sha256"] if sha})
    stored = tables.lookup("dataset/images", "sha256", wanted)
    pictures = {sha: data_uri(row["bytes"]) for sha, row in stored.items()}  # type: ignore[arg-type]
    return [_shown(row, pictures) for row in rows]


def _shown(row: Mapping[str, Any], pictures: Mapping[str, str | None]) -> Shown:
    slots = []
    for text, url, sha in zip(row["texts"], row["images"], row["image_sha256"], strict=True):
        if text == BREAK_TEXT:
            slots.append(Slot("break"))
        elif text is not None:
            slots.append(Slot("text", cut(text)))
        else:
            slots.append(Slot("image", url, pictures.get(sha)))
    return Shown(row["doc_id"], page_url(row), row["lang"] or "", row["num_words"], slots)


def page_url(row: Mapping[str, Any]) -> str:
    """The page a shipped row comes from."""
    return str(json.loads(row["general_metadata"])["url"])


def rejected_documents(tables: RunTables) -> list[Rejected]:
    """A few documents for each reason that decided one."""
    chosen: dict[str, _Cheapest] = defaultdict(lambda: _Cheapest(REJECTED_EACH))
    for batch in tables.batches(tables.verdicts, ["doc_id", "reasons", "values", "bounds"]):
        for row in batch.filter(pc.greater(pc.list_value_length(batch["reasons"]), 0)).to_pylist():
            chosen[row["reasons"][0]].offer(row["doc_id"], row)
    verdicts = [row for _, found in sorted(chosen.items()) for row in found.items()]
    ids = [row["doc_id"] for row in verdicts]
    documents = tables.lookup("documents", "doc_id", ids)
    duplicates = tables.lookup("duplicates", "doc_id", ids)
    return [
        _rejected(documents[row["doc_id"]], row, duplicates.get(row["doc_id"])) for row in verdicts
    ]


def _rejected(
    document: Mapping[str, Any], verdict: Mapping[str, Any], duplicate: Mapping[str, Any] | None
) -> Rejected:
    texts = [node["text"] for node in document["nodes"] or [] if node["text"]]
    notes = [f"also {reason}" for reason in verdict["reasons"][1:]]
    if duplicate and duplicate["kept_id"]:
        notes.append(f"kept in its place: {duplicate['kept_id']}")
    values, bounds = verdict["values"] or [None], verdict["bounds"] or [None]
    text = cut("\n\n".join(texts), 400)
    reason = verdict["reasons"][0]
    return Rejected(reason, document["url"], text, values[0], bounds[0], ", ".join(notes))


def rejected_nodes(tables: RunTables) -> list[Rejected]:
    """A few nodes for each reason, from documents that were kept."""
    chosen: dict[str, _Cheapest] = defaultdict(lambda: _Cheapest(NODES_EACH))
    columns: list[list[str] | None] = [["url", "nodes"], ["doc_id", "kept", "dropped"]]
    for paths in tables.aligned("documents", tables.verdicts):
        for documents, verdicts in storage.iter_aligned(paths, columns):
            kept = verdicts["kept"]
            rows = zip(
                documents.filter(kept).to_pylist(), verdicts.filter(kept).to_pylist(), strict=True
            )
            for row, verdict in rows:
                _offer_nodes(chosen, row, verdict)
    return [node for _, found in sorted(chosen.items()) for node in found.items()]


def _offer_nodes(
    chosen: dict[str, _Cheapest], row: Mapping[str, Any], verdict: Mapping[str, Any]
) -> None:
    nodes = {node["index"]: node for node in row["nodes"] or []}
    for drop in verdict["dropped"] or []:
        text = cut(node_text(nodes[drop["index"]], drop["paragraph"]), 300)
        shown = Rejected(drop["reason"], row["url"], text, drop["value"], drop["bound"])
        key = f"{verdict['doc_id']}/{drop['index']:06d}/{drop['paragraph'] or 0:06d}"
        chosen[drop["reason"]].offer(key, shown)


def node_text(node: Mapping[str, Any], paragraph: int | None) -> str:
    """What a dropped node said: its text, one paragraph of it, or its image's URL."""
    if node["text"] is None:
        return str(node["url"] or "")
    return str(node["text"] if paragraph is None else split(node["text"])[paragraph])


def cut(text: str, limit: int = TEXT_CHARS) -> str:
    """Shorten a text for display."""
    return text if len(text) <= limit else f"{text[:limit].rstrip()} …"
