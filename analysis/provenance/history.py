"""Everything that a run knows about one document: nodes, verdicts, images, shipped row, source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benben.analysis.provenance.archives import NO_ARCHIVES, Archives
from benben.analysis.report.examples import ShippedDocument, shipped_document
from benben.analysis.safe_html import THUMBNAIL_SIDE, thumbnail
from benben.analysis.tables import RunTables
from benben.filters.signals.text import split
from benben.pipeline.images.store import stored


@dataclass(frozen=True)
class Piece:
    """A paragraph of a text node, or an image, and the reason if it was dropped."""

    text: str  # the image's URL, for images
    reason: str | None = None
    value: float | None = None
    bound: float | None = None


@dataclass(frozen=True)
class NodeView:
    """A node of the page, in reading order."""

    index: int
    kind: str
    tag: str
    path: str
    pieces: list[Piece]
    alt: str = ""
    caption: str = ""
    fetch: str = ""  # result of fetching the image
    picture: str | None = None  # data URI
    score: float | None = None  # content score
    inherited: tuple[str, ...] = ()  # whose fate the node or a paragraph of it shares, and why

    @property
    def dropped(self) -> bool:
        """Whether all of the node was dropped."""
        return all(piece.reason for piece in self.pieces)


@dataclass(frozen=True)
class History:
    """What became of a document."""

    document: Mapping[str, Any]  # row of DOCUMENTS
    verdict: Mapping[str, Any]  # row of VERDICTS
    duplicate: Mapping[str, Any] | None  # row of DUPLICATES
    nodes: list[NodeView]
    shipped: ShippedDocument | None
    source: str | None  # archived HTML; None when the archive is not among the inputs


def history(tables: RunTables, doc_id: str, archives: Archives = NO_ARCHIVES) -> History | None:
    """Collect the history of a document; None when the run has no document with this id."""
    document = tables.lookup("documents", "doc_id", [doc_id]).get(doc_id)
    verdict = tables.lookup(tables.verdicts, "doc_id", [doc_id]).get(doc_id)
    if document is None or verdict is None:
        return None
    row = tables.lookup("dataset/data", "doc_id", [doc_id]).get(doc_id)
    nodes: list[Any] = list(document["nodes"] or [])  # type: ignore[call-overload]
    facts = tables.lookup("images", "url", [node["url"] for node in nodes if node["url"]])
    pictures = stored_pictures(tables, [fact["sha256"] for fact in facts.values()])
    return History(
        document=document,
        verdict=verdict,
        duplicate=tables.duplicates([doc_id]).get(doc_id),
        nodes=_nodes(nodes, verdict, facts, pictures),
        shipped=shipped_document(row, pictures) if row else None,
        source=archives.html_source(document),
    )


def stored_pictures(
    tables: RunTables, digests: Sequence[Any], side: int = THUMBNAIL_SIDE
) -> dict[str, str | None]:
    """Thumbnails by sha256, of at most `side` pixels, of the images whose bytes the run has."""
    wanted = sorted({digest for digest in digests if digest})
    shipped: Any = tables.lookup("dataset/images", "sha256", wanted)
    pictures = {digest: thumbnail(row["bytes"], side) for digest, row in shipped.items()}
    missing = [digest for digest in wanted if digest not in pictures]
    others = tables.lookup("image_bytes", "sha256", missing) if missing else {}
    folder = tables.folder("image_bytes")
    return pictures | {
        one: thumbnail(stored.body(row, folder), side) for one, row in others.items()
    }


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
                fetch=_fetch_result(fact),
                picture=pictures.get(fact.get("sha256") or ""),
                score=node.get("content_score"),
                inherited=_inherited(verdict, node["index"]),
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


def _inherited(verdict: Mapping[str, Any], index: int) -> tuple[str, ...]:
    """From which nodes a node has its verdict, and by which rules."""
    found = [one for one in verdict.get("inherited") or [] if one["index"] == index]
    return tuple(
        f"{'kept' if one['kept'] else 'dropped'} with node {one['inherited_from']}: {one['reason']}"
        for one in found
    )


def _fetch_result(fact: Mapping[str, Any]) -> str:
    if not fact:
        return ""
    if fact["reason"]:
        return f"{fact['reason']} {fact['detail'] or ''}".strip()
    return f"{fact['format']} {fact['width']}x{fact['height']}, {fact['num_bytes']:,} bytes"
