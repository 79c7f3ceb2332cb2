"""The ledger: why each node and document goes, with the value and the bound, as VERDICTS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters.columns import Integers, Nested, match
from benben.filters.rule import Floats, Mask
from benben.filters.signal import Scope
from benben.pipeline import schema


class Drops:
    """For each paragraph or image of a batch, the first reason to drop it."""

    def __init__(self, nodes: Nested) -> None:
        size = len(nodes)
        self.nodes = nodes
        self.names: list[str] = []
        self.reason = np.full(size, -1, np.int32)  # place in `names`; -1: kept
        self.value = np.full(size, np.nan)
        self.bound = np.full(size, np.nan)

    @property
    def kept(self) -> Mask:
        """Nodes that no rule dropped so far."""
        return self.reason < 0

    def drop(
        self, where: Integers, reason: str, value: Floats | float, bound: Floats | float
    ) -> None:
        """Drop nodes for one reason."""
        if len(where):
            self.names.append(reason)
            self.reason[where] = len(self.names) - 1
            self.value[where], self.bound[where] = value, bound

    def went_for(self, reason: str) -> Mask:
        """Nodes dropped for a reason."""
        codes = [code for code, name in enumerate(self.names) if name == reason]
        return np.isin(self.reason, codes)

    def take_over(self, removed: Nested) -> None:
        """Drop the nodes named by NODE_VERDICTs."""
        names, code = removed("reason")
        begin = len(self.names)
        self.names += names
        for whole in (True, False) if self.nodes.has("paragraph") else (True,):
            mine, theirs = match(self.nodes, removed, whole)
            open_ = self.kept[mine]
            mine, theirs = mine[open_], theirs[open_]
            self.reason[mine] = begin + code[theirs]
            self.value[mine] = removed("value")[theirs]
            self.bound[mine] = removed("bound")[theirs]


class Ledger:
    """Drops of a batch's paragraphs and images, and the rules that could not judge a document."""

    def __init__(self, paragraphs: Nested, images: Nested) -> None:
        self.paragraphs, self.images = Drops(paragraphs), Drops(images)
        self._unjudged: dict[str, Integers] = {}

    def of(self, scope: Scope) -> Drops:
        """Drops of a scope of nodes."""
        return self.paragraphs if scope == "text_node" else self.images

    def take_over(self, removed: Nested) -> None:
        """Take over the nodes that other stages dropped."""
        self.paragraphs.take_over(removed)
        self.images.take_over(removed)

    def note(self, entry: str, documents: Integers) -> None:
        """Record that a rule could not judge (nodes of) these documents."""
        if len(documents):
            self._unjudged[entry] = documents

    def unjudged(self, rows: int) -> pa.ListArray:
        """Column `unjudged`."""
        names = sorted(self._unjudged)
        document = np.concatenate([np.zeros(0, np.int64), *(self._unjudged[one] for one in names)])
        code = np.repeat(np.arange(len(names)), [len(self._unjudged[one]) for one in names])
        order = np.argsort(document, kind="stable")
        values = pa.array(names, pa.string()).take(pa.array(code[order]))
        return pa.ListArray.from_arrays(_offsets(document, rows), values)

    def dropped(self, rows: int) -> pa.ListArray:
        """Column `dropped`: by node and paragraph."""
        sides = [(drops, np.flatnonzero(~drops.kept)) for drops in (self.paragraphs, self.images)]
        document = _joined(drops.nodes.document[where] for drops, where in sides)
        index = _joined(
            drops.nodes.entries.field("index").take(pa.array(where)).to_numpy()
            for drops, where in sides
        )
        order = np.lexsort((index, document))  # stable: paragraphs of a node stay in order
        names = pa.array([*self.paragraphs.names, *self.images.names], pa.string())
        begins = (0, len(self.paragraphs.names))
        reason = _joined(
            drops.reason[where] + begin for begin, (drops, where) in zip(begins, sides, strict=True)
        )
        columns = [
            pa.array(index[order]),
            names.take(pa.array(reason[order])),
            _known(_joined(drops.value[where] for drops, where in sides)[order]),
            _known(_joined(drops.bound[where] for drops, where in sides)[order]),
            pa.concat_arrays([_paragraphs(*side) for side in sides]).take(pa.array(order)),
        ]
        entries = pa.StructArray.from_arrays(columns, fields=list(schema.NODE_VERDICT))
        return pa.ListArray.from_arrays(_offsets(document, rows), entries)


def _joined(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(list(parts))


def _known(values: Floats) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)


def _paragraphs(drops: Drops, where: Integers) -> pa.Array:
    """Number of the paragraph in its node; null for nodes that have none."""
    if not drops.nodes.has("paragraph"):
        return pa.nulls(len(where), pa.int32())
    return drops.nodes.entries.field("paragraph").take(pa.array(where))


@dataclass(slots=True)
class DocumentFailures:
    """Failing document rules, sorted by rule within a document."""

    document: Integers
    reasons: Sequence[str]  # names ...
    code: Integers  # ... and each failure's place in them
    value: Floats
    bound: Floats


def to_batch(signals: pa.RecordBatch, ledger: Ledger, failures: DocumentFailures) -> pa.RecordBatch:
    """Verdicts as a batch; documents that extraction gave up keep its reason."""
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
        ledger.unjudged(rows),
    ]
    arrays = [one.cast(field.type) for one, field in zip(columns, schema.VERDICTS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.VERDICTS)


def _numbers(values: Floats, offsets: NDArray[np.int32]) -> pa.ListArray:
    return pa.ListArray.from_arrays(offsets, _known(values))


def _offsets(document: Integers, rows: int) -> NDArray[np.int32]:
    counts = np.bincount(document, minlength=rows)
    return np.append(0, np.cumsum(counts)).astype(np.int32)
