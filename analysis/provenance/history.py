"""One document with everything the run knows of it: nodes, verdicts, images, source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benben.analysis.provenance.archives import Originals
from benben.analysis.report.examples import Shown, shown
from benben.analysis.safe_html import data_uri
from benben.analysis.tables import RunTables
from benben.filters.signals.paragraphs import split
from benben.pipeline.archive.charset import decode_html
from benben.pipeline.images.store import stored

SOURCE_CHARS = 200_000
NOWHERE = Originals()


@dataclass(frozen=True)
class Piece:
    """A paragraph of a text node, or an image, and why it went if it did."""

    text: str
    reason: str | None = None
    value: float | None = None
    bound: float | None = None


@dataclass(frozen=True)
class NodeView:
    """A node as it stands on the page."""

    index: int
    kind: str
    tag: str
    path: str
    pieces: list[Piece]
    alt: str = ""
    caption: str = ""
    fetch: str = ""  # what became of the image
    picture: str | None = None  # data: URI

    @property
    def dropped(self) -> bool:
        """Nothing of the node ships."""
        return all(piece.reason for piece in self.pieces)


@dataclass(frozen=True)
class Trace:
    """A document's whole story."""

    document: Mapping[str, Any]
    verdict: Mapping[str, Any]
    duplicate: Mapping[str, Any] | None
    nodes: list[NodeView]
    shipped: Shown | None
    source: str | None  # HTML as archived; None when the archive is not at hand


def trace(tables: RunTables, doc_id: str, originals: Originals = NOWHERE) -> Trace | None:
    """Gather a document by id; its source where its archive is at hand. None: no such document."""
    document = tables.lookup("documents", "doc_id", [doc_id]).get(doc_id)
    verdict = tables.lookup(tables.verdicts, "doc_id", [doc_id]).get(doc_id)
    if document is None or verdict is None:
        return None
    row = tables.lookup("dataset/data", "doc_id", [doc_id]).get(doc_id)
    nodes: list[Any] = list(document["nodes"] or [])  # type: ignore[call-overload]
    facts = tables.lookup("images", "url", [node["url"] for node in nodes if node["url"]])
    pictures = stored_pictures(tables, [fact["sha256"] for fact in facts.values()])
    return Trace(
        document=document,
        verdict=verdict,
        duplicate=tables.duplicates([doc_id]).get(doc_id),
        nodes=_nodes(nodes, verdict, facts, pictures),
        shipped=shown(row, pictures) if row else None,
        source=_source(document, originals),
    )


def stored_pictures(tables: RunTables, digests: Sequence[Any]) -> dict[str, str | None]:
    """Thumbnails of images whose bytes the run has, by sha256."""
    wanted = sorted({digest for digest in digests if digest})
    shipped: Any = tables.lookup("dataset/images", "sha256", wanted)
    pictures = {digest: data_uri(row["bytes"]) for digest, row in shipped.items()}
    missing = [digest for digest in wanted if digest not in pictures]
    others = tables.lookup("image_bytes", "sha256", missing) if missing else {}
    folder = tables.folder("image_bytes")
    return pictures | {one: data_uri(stored.body(row, folder)) for one, row in others.items()}


def _nodes(
    nodes: list[Any],
    verdict: Mapping[str, Any],
    facts: Mapping[str, Mapping[str, Any]],
    pictures: Mapping[str, str | None],
) -> list[NodeView]:
    drops: dict[tuple[int, int | None], Mapping[str, Any]] = {
        (drop["index"], drop["paragraph"]): drop for drop in verdict["dropped"] or []
    }
    views = []
    for node in nodes:
        fact = facts.get(node["url"] or "", {})
        views.append(
            NodeView(
                index=node["index"],
                kind=node["kind"],
                tag=node["tag"] or "",
                path=node["path"] or "",
                pieces=_pieces(node, drops),
                alt=node["alt"] or "",
                caption=node["caption"] or "",
                fetch=_fetched(fact),
                picture=pictures.get(fact.get("sha256") or ""),
            )
        )
    return views


def _pieces(
    node: Mapping[str, Any], drops: Mapping[tuple[int, int | None], Mapping[str, Any]]
) -> list[Piece]:
    texts = split(node["text"]) if node["text"] else [node["url"] or ""]
    whole = drops.get((node["index"], None))
    pieces = []
    for number, text in enumerate(texts):
        drop = whole or drops.get((node["index"], number))
        why = (drop["reason"], drop["value"], drop["bound"]) if drop else (None, None, None)
        pieces.append(Piece(text, *why))
    return pieces


def _fetched(fact: Mapping[str, Any]) -> str:
    if not fact:
        return ""
    if fact["reason"]:
        return f"{fact['reason']} {fact['detail'] or ''}".strip()
    return f"{fact['format']} {fact['width']}x{fact['height']}, {fact['num_bytes']:,} bytes"


def _source(document: Mapping[str, Any], originals: Originals) -> str | None:
    """The page's HTML, read again from its place in the archive."""
    place = originals.find(document["warc"] or "")
    if place is None:
        return None
    capture = originals.read(place, document["warc_offset"], document["warc_length"])
    text, _ = decode_html(capture.payload, capture.mime)
    return text[:SOURCE_CHARS]
