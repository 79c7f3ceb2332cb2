"""What ships of a document by its verdict: the nodes that are kept, and scores over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from benben.filters.declaration import KeptNodes, Nested
from benben.filters.signal_table import CATALOGUE, columns_of
from benben.filters.signals.text import split
from benben.filters.verdicts import Ledger
from benben.pipeline.document import Document, Node

SCORES = ("language_score", "perplexity", "quality")
SCORE_COLUMNS = columns_of({"document": SCORES})  # of the table `signals`


def kept_nodes(document: Document, dropped: Iterable[Mapping[str, Any]]) -> list[Node]:
    """Return the nodes of a document that ship; `dropped` is its verdict's column of NODE_VERDICTs.

    A text node loses single paragraphs and is dropped with the last of them. A node that loses none
    is unchanged, character by character.
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


def scores(signals: pa.RecordBatch, dropped: pa.ListArray) -> dict[str, pa.Array]:
    """Compute the document signals SCORES of a batch of SIGNALS; null where no model measured one.

    `dropped`: the column of NODE_VERDICTs of the same rows.
    """
    paragraphs, images = (Nested(signals.column(name)) for name in ("paragraphs", "images"))
    ledger = Ledger(paragraphs, images)
    ledger.take_over(Nested(dropped))
    kept = ledger.paragraphs.kept, ledger.images.kept
    counts = KeptNodes(signals, paragraphs, images, *kept, None)
    values = {name: np.asarray(CATALOGUE["document"][name].values(counts), np.float32)
              for name in SCORES}  # fmt: skip
    return {name: pa.array(column, from_pandas=True) for name, column in values.items()}
