"""Tombstones over the tables of a run: documents and images that must not come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from benben.pipeline.schema import VERDICTS
from benben.pipeline.takedown.tombstones import REASON, Tombstones

COLUMNS = ["doc_id", "url", "payload_digest", "title", "nodes"]  # of `documents` that are compared
DROPPED = VERDICTS.field("dropped").type
_WORDS = ("text", "alt", "title", "caption")  # of a node


def documents(rows: pa.RecordBatch, tombstones: Tombstones) -> list[str | None]:
    """Why each document has to go; None: it may stay."""
    found = []
    for row in rows.select(COLUMNS).to_pylist():
        kind = tombstones.page(row["url"], row["doc_id"], row["payload_digest"])
        if kind is None:
            kind = tombstones.text([row["title"], *_words(row["nodes"] or [])])
        found.append(f"{REASON}{kind}" if kind else None)
    return found


def _words(nodes: list[dict[str, Any]]) -> list[str]:
    """All that nodes say, kind by kind: a text may run on from node to node."""
    return [node[name] for name in _WORDS for node in nodes if node[name]]


def image_nodes(rows: pa.RecordBatch, tombstones: Tombstones) -> pa.ListArray:
    """The image nodes that have to go, as a column of NODE_VERDICTs."""
    dropped = []
    for nodes in rows["nodes"].to_pylist():
        kinds = (
            (node["index"], tombstones.address(node["url"]))
            for node in nodes or []
            if node["kind"] == "image" and node["url"]
        )
        dropped.append(
            [{"index": index, "reason": f"{REASON}{kind}"} for index, kind in kinds if kind]
        )
    return pa.array(dropped, DROPPED)


def overrule(verdicts: pa.RecordBatch, reasons: list[str | None]) -> pa.RecordBatch:
    """Replace the verdicts of documents that have to go: the reason is the tombstone's alone."""
    gone = np.array([reason is not None for reason in reasons], bool)
    if not gone.any():
        return verdicts
    rows = verdicts.to_pylist()
    for row, reason in zip(rows, reasons, strict=True):
        if reason is not None:
            row |= {"kept": False, "reasons": [reason], "values": [None], "bounds": [None]}
    return pa.RecordBatch.from_pylist(rows, VERDICTS)


def taken(verdicts: pa.RecordBatch) -> list[str | None]:
    """The tombstone's reason of each document that went for one."""
    first = [next(iter(reasons or ()), None) for reasons in verdicts["reasons"].to_pylist()]
    return [reason if reason and reason.startswith(REASON) else None for reason in first]


def images(rows: pa.Table, tombstones: Tombstones) -> pa.Table:
    """Rows of IMAGES; those whose address or content is covered are kept no more."""
    columns = (rows[name].to_pylist() for name in ("url", "sha256", "phash", "reason"))
    kinds = []
    for address, sha256, phash, reason in zip(*columns, strict=True):
        kind = tombstones.address(address) or tombstones.content(sha256, phash)
        ours = reason is None or reason.startswith(REASON)  # fetching may have found it first
        kinds.append(f"{REASON}{kind}" if kind and ours else None)
    return blank_images(rows, kinds)


def blank_images(rows: pa.Table, reasons: list[str | None]) -> pa.Table:
    """Put a reason in place of the content of images; None leaves a row as it is."""
    gone = pa.array([reason is not None for reason in reasons])
    for name in ("sha256", "phash", "embedding", "reason"):
        place = rows.schema.get_field_index(name)
        field = rows.schema.field(name)
        old = rows[name].combine_chunks() if isinstance(rows[name], pa.ChunkedArray) else rows[name]
        new = (
            pa.array(reasons, pa.string()) if name == "reason" else pa.nulls(len(rows), field.type)
        )
        both = pa.concat_arrays([old, new])
        take = np.arange(len(rows)) + np.where(np.asarray(gone), len(rows), 0)
        rows = rows.set_column(place, field, both.take(pa.array(take)))
    return rows
