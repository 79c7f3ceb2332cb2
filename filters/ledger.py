"""What verdicts did, counted: documents, nodes, images and paragraphs, by reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benben.filters.columns import Integers, Nested, match, to_numpy
from benben.filters.rule import Mask
from benben.pipeline.manifest import Count, Counts

KEPT = -1


def count(
    signals: pa.RecordBatch, verdicts: pa.RecordBatch, removed: Sequence[pa.ListArray] = ()
) -> Counts:
    """Count what went in, what is kept, and what was rejected for which reason.

    Units: `documents` that extraction gave; `nodes` of them (text, image and break), `images`
    (the image nodes among them) and `paragraphs`. What no rule of its own dropped goes with its
    document, for the document's first reason; a text node for the reason of its first paragraph.
    `removed`: columns of nodes (NODE_VERDICTs) that were dropped before, which do not go in.
    """
    names, document = _document_fates(verdicts)
    dropped = Nested(verdicts.column("dropped"))
    reasons, code = dropped("reason")
    code = code + len(names)
    names = [*names, *reasons]
    paragraphs, images = Nested(signals.column("paragraphs")), Nested(signals.column("images"))
    before = [Nested(column) for column in removed]
    shown, present = _present(images, before), _present(paragraphs, before)
    image = _fates(images, dropped, code, whole=True)
    paragraph = _fates(paragraphs, dropped, code, whole=False)
    text, owner = _text_fates(paragraphs, paragraph, present)
    breaks = np.repeat(document, to_numpy(signals.column("break_nodes")).astype(np.int64))
    image = _with_document(image, document[images.document])[shown]
    text = _with_document(text, document[owner])
    paragraph = _with_document(paragraph, document[paragraphs.document])[present]
    extracted = signals.column("reason").is_null().to_numpy(zero_copy_only=False)
    return {
        "documents": _tally(names, document[extracted]),
        "nodes": _tally(names, np.concatenate([text, image, breaks])),
        "images": _tally(names, image),
        "paragraphs": _tally(names, paragraph),
    }


def unjudged(verdicts: pa.RecordBatch) -> dict[str, int]:
    """Documents that each rule could not judge, by `scope.signal.why`."""
    counted = pc.value_counts(verdicts.column("unjudged").flatten()).to_pylist()
    return {one["values"]: one["counts"] for one in sorted(counted, key=lambda one: one["values"])}


def metrics(unjudged: Mapping[str, int]) -> dict[str, float]:
    """Counts of `unjudged` as a stage's metrics: `unjudged.SCOPE.SIGNAL.WHY`, in documents."""
    return {f"unjudged.{name}": float(number) for name, number in sorted(unjudged.items())}


def _document_fates(verdicts: pa.RecordBatch) -> tuple[list[str], Integers]:
    """Reasons, and the place of each document's first in them (KEPT: none)."""
    reasons = Nested(pc.list_slice(verdicts.column("reasons"), 0, 1))
    names, code = to_numpy(reasons.entries)
    fate = np.full(verdicts.num_rows, KEPT)
    fate[reasons.document] = code
    return names, fate


def _fates(nodes: Nested, dropped: Nested, code: Integers, whole: bool) -> Integers:
    fate = np.full(len(nodes), KEPT)
    mine, theirs = match(nodes, dropped, whole)
    fate[mine] = code[theirs]
    return fate


def _present(nodes: Nested, before: Sequence[Nested]) -> Mask:
    """Nodes or paragraphs that nothing dropped before."""
    present = np.ones(len(nodes), np.bool_)
    for removed in before:
        for whole in (True, False) if nodes.has("paragraph") else (True,):
            present[match(nodes, removed, whole)[0]] = False
    return present


def _text_fates(paragraphs: Nested, fate: Integers, present: Mask) -> tuple[Integers, Integers]:
    """Fate and document of each text node with a paragraph present: it goes with the last."""
    rows = np.flatnonzero(present)
    if not len(rows):
        return rows, rows
    node = np.cumsum(paragraphs("paragraph") == 0)[rows]
    begin = np.flatnonzero(np.diff(node, prepend=-1))
    kept = np.add.reduceat(fate[rows] == KEPT, begin) > 0
    first = rows[begin]
    return np.where(kept, KEPT, fate[first]), paragraphs.document[first]


def _with_document(fate: Integers, document: Integers) -> Integers:
    return np.where(fate == KEPT, document, fate)


def _tally(names: list[str], fate: Integers) -> Count:
    count = Count(entered=len(fate), kept=int((fate == KEPT).sum()))
    numbers = np.bincount(fate[fate != KEPT], minlength=len(names))
    for name, number in zip(names, numbers.tolist(), strict=True):
        if number:
            count.reject(name, number)
    return count
