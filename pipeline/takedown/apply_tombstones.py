"""Apply tombstones to the tables of a run: documents and images that must not come back.

The stages `decide` and `fetch` use this to leave them out of a new run, and a takedown uses it to
find them in a finished run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from benben.pipeline.schema import VERDICTS
from benben.pipeline.takedown.tombstones import REASON_PREFIX, Kind, Tombstones, reason_of

COLUMNS = ["doc_id", "url", "payload_digest", "title", "nodes"]  # of `documents`, for matching
_DROPPED = VERDICTS.field("dropped").type
_NODE_TEXTS = ("text", "alt", "title", "caption")


# Documents and their image nodes


def document_reasons(rows: pa.RecordBatch, tombstones: Tombstones) -> list[str | None]:
    """Return why each document must be removed; None where no tombstone matches."""
    reasons = []
    for row in rows.select(COLUMNS).to_pylist():
        kind = tombstones.match_page(row["url"], row["doc_id"], row["payload_digest"])
        if kind is None:
            kind = tombstones.match_text([row["title"], *_texts(row["nodes"] or [])])
        reasons.append(reason_of(kind))
    return reasons


def _texts(nodes: list[dict[str, Any]]) -> list[str]:
    """Return the texts of nodes, grouped by kind: a phrase may continue in the next node."""
    return [node[name] for name in _NODE_TEXTS for node in nodes if node[name]]


def matching_image_nodes(rows: pa.RecordBatch, tombstones: Tombstones) -> pa.ListArray:
    """Return the image nodes that tombstones match, in the form of the column `dropped`.

    An image is matched by its own address and by that of its picture in full size.
    """
    dropped = []
    for nodes in rows["nodes"].to_pylist():
        reasons = (
            (node["index"], reason_of(_match_image(node, tombstones)))
            for node in nodes or []
            if node["kind"] == "image" and node["url"]
        )
        dropped.append([{"index": index, "reason": reason} for index, reason in reasons if reason])
    return pa.array(dropped, _DROPPED)


def _match_image(node: dict[str, Any], tombstones: Tombstones) -> Kind | None:
    full_size = node.get("full_size")  # tables made before have none
    return tombstones.match_url(node["url"]) or (full_size and tombstones.match_url(full_size))


def thumbnails(rows: pa.RecordBatch, tombstones: Tombstones) -> Iterator[str]:
    """Yield the addresses of images whose picture in full size tombstones match."""
    for nodes in rows["nodes"].to_pylist():
        for node in nodes or []:
            full_size = node.get("full_size")
            if node["url"] and full_size and tombstones.match_url(full_size):
                yield node["url"]


def reject_documents(verdicts: pa.RecordBatch, reasons: list[str | None]) -> pa.RecordBatch:
    """Reject the documents that have a reason, and record that reason alone."""
    if not any(reason is not None for reason in reasons):
        return verdicts
    rows = verdicts.to_pylist()
    for row, reason in zip(rows, reasons, strict=True):
        if reason is not None:
            row |= {"kept": False, "reasons": [reason], "values": [None], "bounds": [None]}
    return pa.RecordBatch.from_pylist(rows, VERDICTS)


def takedown_reasons(verdicts: pa.RecordBatch) -> list[str | None]:
    """Return the takedown's reason for each document it rejected; None for the others."""
    first = [next(iter(reasons or ()), None) for reasons in verdicts["reasons"].to_pylist()]
    return [reason if reason and reason.startswith(REASON_PREFIX) else None for reason in first]


# Images


def reject_images(rows: pa.Table, tombstones: Tombstones) -> pa.Table:
    """Reject the rows of `images` whose URL or content a tombstone matches.

    A row that was rejected for another reason keeps that reason.
    """
    columns = (rows[name].to_pylist() for name in ("url", "sha256", "phash", "reason"))
    reasons = []
    for url, sha256, phash, before in zip(*columns, strict=True):
        reason = reason_of(tombstones.match_url(url) or tombstones.match_content(sha256, phash))
        # The fetch stage may have recorded a tombstone already.
        replace = before is None or before.startswith(REASON_PREFIX)
        reasons.append(reason if replace else None)
    return _replace_content(rows, reasons)


def _replace_content(rows: pa.Table, reasons: list[str | None]) -> pa.Table:
    """Replace what describes an image's content by a reason; None leaves the row as it is."""
    rejected = np.array([reason is not None for reason in reasons], bool)
    for name in ("sha256", "phash", "embedding", "reason"):
        column = rows.schema.get_field_index(name)
        field = rows.schema.field(name)
        old = rows[name].combine_chunks() if isinstance(rows[name], pa.ChunkedArray) else rows[name]
        new = (
            pa.array(reasons, pa.string()) if name == "reason" else pa.nulls(len(rows), field.type)
        )
        either = pa.concat_arrays([old, new])
        indices = np.arange(len(rows)) + np.where(rejected, len(rows), 0)
        rows = rows.set_column(column, field, either.take(pa.array(indices)))
    return rows
