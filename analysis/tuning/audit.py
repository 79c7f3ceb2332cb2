"""A bounded sample of what each rule dropped, with the text or URL, for people to judge.

Rows are chosen by a hash of ids, so equal runs give equal samples, however many parts they have.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from benben.analysis.tables import RunTables
from benben.filters.declaration import Nested
from benben.filters.signals.text import split

PER_REASON = 20
PAYLOAD_CHARS = 2_000
AUDIT = pa.schema(
    [
        ("reason", pa.string()),
        ("doc_id", pa.string()),
        ("url", pa.string()),
        ("index", pa.int32()),  # of the node; null when the whole document was dropped
        ("paragraph", pa.int32()),
        ("value", pa.float64()),
        ("bound", pa.float64()),
        ("payload", pa.string()),  # the node's text or image URL; for a document its title
    ]
)


@dataclass(frozen=True, order=True)
class _Choice:
    rank: bytes  # hash: the smallest ranks are chosen
    doc_id: str
    reason: str
    index: int | None
    paragraph: int | None
    value: float | None
    bound: float | None


def audit(tables: RunTables, per_reason: int = PER_REASON) -> pa.Table:
    """At most `per_reason` dropped nodes and documents of each reason: a table of schema AUDIT."""
    chosen: dict[str, list[tuple[int, _Choice]]] = {}
    for batch in tables.batches(
        tables.verdicts, ["doc_id", "reasons", "values", "bounds", "dropped"]
    ):
        for choice in _choices(batch):
            heap = chosen.setdefault(choice.reason, [])
            item = (-int.from_bytes(choice.rank), choice)
            if len(heap) < per_reason:
                heapq.heappush(heap, item)
            elif item > heap[0]:
                heapq.heapreplace(heap, item)
    picked = [choice for reason in sorted(chosen) for _, choice in sorted(chosen[reason])[::-1]]
    wanted = sorted({choice.doc_id for choice in picked})
    columns = ["doc_id", "url", "title", "nodes"]
    documents = tables.lookup("documents", "doc_id", wanted, columns)
    return pa.Table.from_pylist(
        [_row(choice, documents[choice.doc_id]) for choice in picked], AUDIT
    )


def _choices(batch: pa.RecordBatch) -> Iterator[_Choice]:
    """All dropped nodes and documents of a batch of VERDICTS; documents by their first reason."""
    ids = batch.column("doc_id").to_pylist()
    dropped = Nested(batch.column("dropped"))
    entries = zip(dropped.document.tolist(), dropped.entries.to_pylist(), strict=True)
    for row, one in entries:
        yield _choice(
            ids[row], one["reason"], one["index"], one["paragraph"], one["value"], one["bound"]
        )
    first = [pc.list_slice(batch.column(name), 0, 1) for name in ("reasons", "values", "bounds")]
    for doc_id, reasons, values, bounds in zip(
        ids, *(column.to_pylist() for column in first), strict=True
    ):
        if reasons:
            yield _choice(doc_id, reasons[0], None, None, values[0], bounds[0])


def _choice(
    doc_id: str, reason: str, index: int | None, paragraph: int | None,
    value: float | None, bound: float | None,
) -> _Choice:  # fmt: skip
    key = f"{doc_id}\0{index}\0{paragraph}".encode()
    rank = hashlib.blake2b(key, digest_size=8).digest()
    return _Choice(rank, doc_id, reason, index, paragraph, value, bound)


def _row(choice: _Choice, document: dict[str, object]) -> dict[str, object]:
    payload = document["title"]
    if choice.index is not None:
        nodes: list[dict[str, str | int | None]] = document["nodes"] or []  # type: ignore[assignment]
        node = next(node for node in nodes if node["index"] == choice.index)
        payload = node["url"] if node["kind"] == "image" else node["text"]
        if choice.paragraph is not None:
            payload = split(str(node["text"]))[choice.paragraph]
    return {
        "reason": choice.reason,
        "doc_id": choice.doc_id,
        "url": document["url"],
        "index": choice.index,
        "paragraph": choice.paragraph,
        "value": choice.value,
        "bound": choice.bound,
        "payload": str(payload or "")[:PAYLOAD_CHARS],
    }
