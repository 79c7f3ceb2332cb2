"""The ledger applied: a document and its verdict give the nodes that ship."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from benben.filters.signals.paragraphs import split
from benben.pipeline.document import Document, Node


def apply(document: Document, dropped: Iterable[Mapping[str, Any]]) -> list[Node]:
    """Nodes of a document that a verdict keeps; `dropped` is its column of NODE_VERDICTs.

    A text node loses single paragraphs, and goes with the last of them. What is kept whole is
    unchanged, character by character.
    """
    whole: set[int] = set()
    parts: dict[int, set[int]] = {}
    for entry in dropped:
        if entry["paragraph"] is None:
            whole.add(entry["index"])
        else:
            parts.setdefault(entry["index"], set()).add(entry["paragraph"])
    nodes = []
    for node in document.nodes:
        if node.index in whole:
            continue
        gone = parts.get(node.index)
        if not gone:
            nodes.append(node)
            continue
        kept = [one for number, one in enumerate(split(node.text or "")) if number not in gone]
        if kept:
            nodes.append(replace(node, text="\n\n".join(kept)))
    return nodes
