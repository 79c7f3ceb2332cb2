"""Verdicts: why each node and document is dropped, as a table; and how many are, by reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benben.filters.declaration import Floats, Integers, Mask, Nested, Scope, to_numpy
from benben.pipeline import schema
from benben.pipeline.manifest import Count, Counts

KEPT = -1  # in place of a reason's number
OWN = -1  # in place of the index of another node


class Drops:
    """The first reason to drop each paragraph or image of a batch."""

    def __init__(self, nodes: Nested) -> None:
        size = len(nodes)
        self.nodes = nodes
        self.names: list[str] = []
        self.reason = np.full(size, KEPT, np.int32)  # place in `names`, or KEPT
        self.value = np.full(size, np.nan)
        self.bound = np.full(size, np.nan)
        self.spared = np.full(size, KEPT, np.int32)  # the reason in spite of which it is kept
        self.source = np.full(size, OWN, np.int32)  # index of the node whose fate it shares, or OWN

    @property
    def kept(self) -> Mask:
        """Nodes that no rule has dropped so far."""
        return self.reason < 0

    def drop(
        self,
        where: Integers,
        reason: str,
        value: Floats | float,
        bound: Floats | float,
        source: Integers | int = OWN,
    ) -> None:
        """Drop nodes for one reason; `source`: index of the first node judged with them."""
        if len(where):
            self.names.append(reason)
            self.reason[where] = len(self.names) - 1
            self.value[where], self.bound[where] = value, bound
            self.source[where] = source

    def drop_with(self, where: Integers, others: Drops, rows: Integers, source: Integers) -> None:
        """Drop nodes that are kept so far for the reasons of others; `source`: index of those."""
        open_ = self.reason[where] < 0
        where, rows = where[open_], rows[open_]
        begin = len(self.names)
        self.names += list(others.names)
        self.reason[where] = begin + others.reason[rows]
        self.value[where], self.bound[where] = others.value[rows], others.bound[rows]
        self.source[where] = source[open_]

    def spare(self, where: Integers, source: Integers) -> None:
        """Keep nodes that were dropped, with the nodes of index `source`."""
        gone = self.reason[where] >= 0
        where = where[gone]
        self.spared[where], self.source[where] = self.reason[where], source[gone]
        self.reason[where] = KEPT

    def dropped_for(self, reason: str) -> Mask:
        """Tell which nodes were dropped for a reason."""
        codes = [code for code, name in enumerate(self.names) if name == reason]
        return np.isin(self.reason, codes)

    def take_over(self, removed: Nested) -> None:
        """Drop the nodes that NODE_VERDICTs name, for the reasons they give."""
        names, code = removed("reason")
        begin = len(self.names)
        self.names += names
        for whole in (True, False) if self.nodes.has("paragraph") else (True,):
            mine, theirs = _match(self.nodes, removed, whole)
            open_ = self.kept[mine]
            mine, theirs = mine[open_], theirs[open_]
            self.reason[mine] = begin + code[theirs]
            self.value[mine] = removed("value")[theirs]
            self.bound[mine] = removed("bound")[theirs]


class Ledger:
    """Why a batch's paragraphs and images are dropped, and which rules could not judge."""

    def __init__(self, paragraphs: Nested, images: Nested) -> None:
        self.paragraphs, self.images = Drops(paragraphs), Drops(images)
        self._unjudged: dict[str, Integers] = {}

    def of(self, scope: Scope) -> Drops:
        """Return the drops of a scope of nodes."""
        return self.paragraphs if scope == "text_node" else self.images

    def take_over(self, removed: Nested) -> None:
        """Drop the nodes that other stages dropped."""
        self.paragraphs.take_over(removed)
        self.images.take_over(removed)

    def note(self, entry: str, documents: Integers) -> None:
        """Record that a rule could not judge these documents or some of their nodes."""
        if len(documents):
            self._unjudged[entry] = documents

    def unjudged(self, rows: int) -> pa.ListArray:
        """Return the column `unjudged`."""
        names = sorted(self._unjudged)
        document = np.concatenate([np.zeros(0, np.int64), *(self._unjudged[one] for one in names)])
        code = np.repeat(np.arange(len(names)), [len(self._unjudged[one]) for one in names])
        order = np.argsort(document, kind="stable")
        values = pa.array(names, pa.string()).take(pa.array(code[order]))
        return pa.ListArray.from_arrays(_offsets(document, rows), values)

    def dropped(self, rows: int) -> pa.ListArray:
        """Return the column `dropped`, sorted by node and paragraph."""
        found = _Listed([(one, one.reason) for one in (self.paragraphs, self.images)], rows)
        value = _known(found.of(lambda drops: drops.value))
        bound = _known(found.of(lambda drops: drops.bound))
        columns = [found.index, found.reason, value, bound, found.paragraph]
        return found.to_list(columns, schema.NODE_VERDICT)

    def inherited(self, rows: int) -> pa.ListArray:
        """Return the column `inherited`, sorted by node and paragraph."""
        sides = (self.paragraphs, self.images)
        shared = [
            np.where(one.source == OWN, KEPT, np.where(one.kept, one.spared, one.reason))
            for one in sides
        ]
        found = _Listed(list(zip(sides, shared, strict=True)), rows)
        source = pa.array(found.of(lambda drops: drops.source))
        kept = pa.array(found.of(lambda drops: drops.kept))
        columns = [found.index, found.paragraph, source, found.reason, kept]
        return found.to_list(columns, schema.INHERITED)


class _Listed:
    """The nodes of a ledger that have a reason (KEPT: none), sorted by node and paragraph."""

    def __init__(self, sides: Sequence[tuple[Drops, NDArray[Any]]], rows: int) -> None:
        self._chosen = [(drops, np.flatnonzero(reason != KEPT)) for drops, reason in sides]
        index = _joined(
            drops.nodes.entries.field("index").take(pa.array(where)).to_numpy()
            for drops, where in self._chosen
        )
        document = _joined(drops.nodes.document[where] for drops, where in self._chosen)
        # stable: paragraphs of a node stay in order
        self._order = np.lexsort((index, document))
        self._offsets = _offsets(document, rows)
        names = pa.array([name for drops, _ in sides for name in drops.names], pa.string())
        begins = np.cumsum([0, *(len(drops.names) for drops, _ in sides)])
        reason = _joined(
            mine[where] + begin
            for begin, (_, mine), (_, where) in zip(begins, sides, self._chosen, strict=False)
        )
        self.index = pa.array(index[self._order])
        self.reason = names.take(pa.array(reason[self._order]))
        parts = pa.concat_arrays([_paragraphs(drops, where) for drops, where in self._chosen])
        self.paragraph = parts.take(pa.array(self._order))

    def of(self, field: Callable[[Drops], NDArray[Any]]) -> NDArray[Any]:
        """Return a field of the nodes."""
        found = _joined(field(drops)[where] for drops, where in self._chosen)
        return np.asarray(found[self._order])

    def to_list(self, columns: list[pa.Array], entry: pa.StructType) -> pa.ListArray:
        """Return columns of the nodes as a list for each document."""
        cast = [one.cast(field.type) for one, field in zip(columns, entry, strict=True)]
        entries = pa.StructArray.from_arrays(cast, fields=list(entry))
        return pa.ListArray.from_arrays(self._offsets, entries)


def _joined(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(list(parts))


def _known(values: Floats) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)


def _paragraphs(drops: Drops, where: Integers) -> pa.Array:
    """Return the number of each paragraph in its node; null for images."""
    if not drops.nodes.has("paragraph"):
        return pa.nulls(len(where), pa.int32())
    return drops.nodes.entries.field("paragraph").take(pa.array(where))


@dataclass(slots=True)
class DocumentFailures:
    """Documents and the rules that they fail; sorted by rule within a document."""

    document: Integers
    reasons: Sequence[str]  # distinct reasons
    code: Integers  # each failure's place in `reasons`
    value: Floats
    bound: Floats


def to_batch(signals: pa.RecordBatch, ledger: Ledger, failures: DocumentFailures) -> pa.RecordBatch:
    """Write verdicts as a batch; documents that extraction rejected keep its reason."""
    rows = signals.num_rows
    order = np.argsort(failures.document, kind="stable")
    offsets = _offsets(failures.document, rows)
    reasons = pa.array(failures.reasons, pa.string()).take(pa.array(failures.code[order]))
    kept: NDArray[np.bool_] = np.diff(offsets) == 0
    columns = [
        signals.column("doc_id"),
        signals.column("language"),
        pa.array(kept),
        pa.ListArray.from_arrays(offsets, reasons),
        _numbers(failures.value[order], offsets),
        _numbers(failures.bound[order], offsets),
        ledger.dropped(rows),
        ledger.inherited(rows),
        ledger.unjudged(rows),
    ]
    arrays = [one.cast(field.type) for one, field in zip(columns, schema.VERDICTS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.VERDICTS)


def _numbers(values: Floats, offsets: NDArray[np.int32]) -> pa.ListArray:
    return pa.ListArray.from_arrays(offsets, _known(values))


def _offsets(document: Integers, rows: int) -> NDArray[np.int32]:
    counts = np.bincount(document, minlength=rows)
    return np.append(0, np.cumsum(counts)).astype(np.int32)


# Counting.


def count_verdicts(
    signals: pa.RecordBatch, verdicts: pa.RecordBatch, removed: Sequence[pa.ListArray] = ()
) -> Counts:
    """Count what went in, what is kept, and what was rejected for which reason.

    Units: `documents` that were extracted, their `nodes` (text, image and break), `images` (the
    image nodes among them) and `paragraphs`. A node that no rule of its own drops is rejected with
    its document, for the document's first reason; a text node whose paragraphs are all dropped, for
    the reason of the first. `removed`: columns of nodes (NODE_VERDICTs) that were dropped before;
    these are not counted.
    """
    names, document = _document_fates(verdicts)
    dropped = Nested(verdicts.column("dropped"))
    reasons, code = dropped("reason")
    code = code + len(names)
    names = [*names, *reasons]
    paragraphs, images = Nested(signals.column("paragraphs")), Nested(signals.column("images"))
    before = [Nested(column) for column in removed]
    shown, present = _is_present(images, before), _is_present(paragraphs, before)
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


def count_unjudged(verdicts: pa.RecordBatch) -> dict[str, int]:
    """Count the documents that each rule could not judge, by `scope.signal.why`."""
    counted = pc.value_counts(verdicts.column("unjudged").flatten()).to_pylist()
    return {one["values"]: one["counts"] for one in sorted(counted, key=lambda one: one["values"])}


def unjudged_metrics(unjudged: Mapping[str, int]) -> dict[str, float]:
    """Name the counts of `unjudged` as metrics of a stage: `unjudged.SCOPE.SIGNAL.WHY`."""
    return {f"unjudged.{name}": float(number) for name, number in sorted(unjudged.items())}


def _document_fates(verdicts: pa.RecordBatch) -> tuple[list[str], Integers]:
    """Return the distinct reasons, and the place of each document's first one in them, or KEPT."""
    reasons = Nested(pc.list_slice(verdicts.column("reasons"), 0, 1))
    names, code = to_numpy(reasons.entries)
    fate = np.full(verdicts.num_rows, KEPT)
    fate[reasons.document] = code
    return names, fate


def _fates(nodes: Nested, dropped: Nested, code: Integers, whole: bool) -> Integers:
    fate = np.full(len(nodes), KEPT)
    mine, theirs = _match(nodes, dropped, whole)
    fate[mine] = code[theirs]
    return fate


def _is_present(nodes: Nested, before: Sequence[Nested]) -> Mask:
    """Tell which nodes or paragraphs were not dropped before."""
    present = np.ones(len(nodes), np.bool_)
    for removed in before:
        for whole in (True, False) if nodes.has("paragraph") else (True,):
            present[_match(nodes, removed, whole)[0]] = False
    return present


def _text_fates(paragraphs: Nested, fate: Integers, present: Mask) -> tuple[Integers, Integers]:
    """Return fate and document of each text node that has a paragraph present.

    A node is dropped when its last paragraph is.
    """
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


def _match(nodes: Nested, entries: Nested, whole: bool) -> tuple[Integers, Integers]:
    """Pair nodes with the entries (NODE_VERDICTs) that name them; return the rows of both.

    `whole`: pair with entries that have no paragraph, which name every paragraph of a node; else
    with those that name a single paragraph. Only the former name image nodes.
    """
    parts = entries("paragraph")
    rows = np.flatnonzero(np.isnan(parts) if whole else ~np.isnan(parts))
    if not len(rows) or not len(nodes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    theirs = (entries.document << 24) + entries.integers("index")
    mine = (nodes.document << 24) + nodes.integers("index")
    theirs = theirs[rows]
    if not whole:
        theirs = (theirs << 20) + parts[rows].astype(np.int64)
        mine = (mine << 20) + nodes.integers("paragraph")
    order = np.argsort(theirs, kind="stable")
    place = np.minimum(np.searchsorted(theirs[order], mine), len(theirs) - 1)
    hit = np.flatnonzero(theirs[order][place] == mine)
    return hit, rows[order[place[hit]]]
