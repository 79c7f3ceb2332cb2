"""Remove what is taken down from the tables of a run, except the dataset.

In tables whose rows correspond to those of another table, a removed row stays but keeps nothing
but its identity and the reason. In other tables the row is deleted. Rewritten files get new names
and then the table's manifest is replaced, so readers see the table either before or after.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import manifest, storage
from benben.pipeline.manifest import Manifest, PartFile
from benben.pipeline.takedown.takedown_log import PendingTakedown
from benben.pipeline.takedown.tombstones import REASON_PREFIX

Mask = npt.NDArray[np.bool_]
BATCH_ROWS = 500
_NEVER_NULL = ("url", "url_key", "host", "domain")  # text columns of `documents`


@dataclass(frozen=True)
class TableChange:
    """Which rows of a table to change, and how."""

    table: str
    columns: list[str]  # read by `affected` and `no_longer_kept`
    affected: Callable[[pa.RecordBatch], Mask]  # rows to change
    change: Callable[[pa.RecordBatch, Mask], pa.RecordBatch]
    unit: str = ""  # of the manifest's counts: "documents" or "images"
    no_longer_kept: Callable[[pa.RecordBatch], Mask] | None = None  # rows counted as kept so far


def table_changes(takedown: PendingTakedown) -> list[TableChange]:
    """Return the changes in the order in which they must be made.

    `documents` is last: until it is changed, it tells what the tombstones match.
    """
    removed_ids = sorted(takedown.documents)
    affected_ids = sorted(takedown.documents.keys() | takedown.nodes.keys())
    removed, affected = _matches("doc_id", removed_ids), _matches("doc_id", affected_ids)
    stored = _matches("sha256", takedown.images)
    pages = pa.array(removed_ids, pa.string())
    match_url = takedown.removal.tombstones.match_url

    def url_matches(rows: pa.RecordBatch) -> Mask:
        return np.array([match_url(url) is not None for url in rows["url"].to_pylist()], bool)

    def images(rows: pa.RecordBatch) -> Mask:
        return url_matches(rows) | stored(rows)

    def receipts(rows: pa.RecordBatch) -> Mask:  # of images and pages; a page's path is its id
        return url_matches(rows) | _mask(pc.is_in(rows["path"], value_set=pages))

    def kept(rows: pa.RecordBatch) -> Mask:
        return removed(rows) & _mask(rows["kept"])

    def extracted(rows: pa.RecordBatch) -> Mask:
        return removed(rows) & _mask(rows["reason"].is_null())

    def fetched(rows: pa.RecordBatch) -> Mask:
        return images(rows) & _mask(rows["reason"].is_null())

    verdicts, signals, documents = (
        _change_rows(change, takedown) for change in (_reject, _clear_signals, _clear_document)
    )
    judged, row = (["doc_id", "kept"], ["doc_id", "reason"])
    return [
        TableChange("verdicts", judged, affected, verdicts, "documents", kept),
        TableChange("final_verdicts", judged, affected, verdicts, "documents", kept),
        TableChange("signals", row, removed, signals, "documents", extracted),
        TableChange("image_uses", ["sha256"], stored, _delete_rows),
        TableChange("image_worth", ["doc_id"], removed, _delete_rows),
        TableChange("image_bytes", ["sha256"], stored, _delete_rows),
        TableChange("images", ["url", "sha256", "reason"], images, _delete_rows, "images", fetched),
        TableChange("consent", ["url", "path"], receipts, _delete_rows),
        TableChange("captures", ["url"], url_matches, _delete_rows),
        TableChange("dead_letters", ["url"], url_matches, _delete_rows),
        TableChange("documents", row, affected, documents, "documents", extracted),
    ]


def _matches(column: str, names: list[str]) -> Callable[[pa.RecordBatch], Mask]:
    values = pa.array(names, pa.string())
    return lambda rows: _mask(pc.is_in(rows[column], value_set=values))


def _mask(column: pa.Array) -> Mask:
    return np.asarray(column, np.bool_)


# How rows change


def _delete_rows(rows: pa.RecordBatch, affected: Mask) -> pa.RecordBatch:
    return rows.filter(pa.array(~affected))


def _change_rows(
    change: Callable[[dict[str, Any], PendingTakedown], None], takedown: PendingTakedown
) -> Callable[[pa.RecordBatch, Mask], pa.RecordBatch]:
    """Return a function that applies `change` in place to each affected row of a batch."""

    def change_batch(rows: pa.RecordBatch, affected: Mask) -> pa.RecordBatch:
        changed = rows.to_pylist()
        for index in np.flatnonzero(affected):
            change(changed[index], takedown)
        return pa.RecordBatch.from_pylist(changed, rows.schema)

    return change_batch


def _clear_document(row: dict[str, Any], takedown: PendingTakedown) -> None:
    if row["doc_id"] in takedown.documents:
        identity = {name: row[name] for name in ("doc_id", "warc", "warc_offset", "warc_length")}
        row |= dict.fromkeys(row) | identity | dict.fromkeys(_NEVER_NULL, "")
        row |= {"opt_outs": [], "licenses": [], "page_images": [], "nodes": []}
        row["reason"] = takedown.documents[identity["doc_id"]]
        return
    removed = takedown.nodes[row["doc_id"]]
    nodes = [node for node in row["nodes"] if node["index"] in removed]
    urls = {address for node in nodes for address in (node["url"], node.get("full_size"))}
    row["page_images"] = [url for url in row["page_images"] or [] if url not in urls]
    for node in nodes:
        node |= {"url": "", "src": "", "alt": None, "title": None, "caption": None}
        node |= {"full_size": None, "link_target": None}


def _clear_signals(row: dict[str, Any], takedown: PendingTakedown) -> None:
    row |= {name: [] for name in ("paragraphs", "images", "repeats")}
    row |= dict.fromkeys(("text_nodes", "image_nodes", "break_nodes"), 0)
    row["reason"] = takedown.documents[row["doc_id"]]


def _reject(row: dict[str, Any], takedown: PendingTakedown) -> None:
    """Change a verdict: the document is rejected, or some of its image nodes are dropped."""
    reason = takedown.documents.get(row["doc_id"])
    if reason:
        row |= {"kept": False, "reasons": [reason], "values": [None], "bounds": [None]}
        row["dropped"] = []
        return
    removed = takedown.nodes[row["doc_id"]]
    left = [entry for entry in row["dropped"] if entry["index"] not in removed]
    blank = {"value": None, "bound": None, "paragraph": None}
    entries = [{"index": index, "reason": why, **blank} for index, why in removed.items()]
    row["dropped"] = sorted(left + entries, key=lambda e: (e["index"], e["paragraph"] or 0))


# Files and manifest


def rewrite_table(output: str, change: TableChange, number: int) -> list[str]:
    """Change one table, and return the names of the files that were replaced.

    `number` is that of the takedown.
    """
    folder = storage.join(output, change.table)
    before = manifest.read(folder)
    if before is None:
        return []
    replaced, files, no_longer_kept = [], [], 0
    for file in before.files:
        path = storage.join(folder, file.name)
        affected = 0
        for rows in storage.iter_parquet(path, change.columns, BATCH_ROWS):
            affected += int(change.affected(rows).sum())
            if change.no_longer_kept:
                no_longer_kept += int(change.no_longer_kept(rows).sum())
        files.append(_rewrite_file(folder, file, change, number) if affected else file)
        replaced += [file.name] if affected else []
    after = before
    if replaced:
        counts = {unit: count.model_copy(deep=True) for unit, count in before.counts.items()}
        if no_longer_kept and change.unit in counts:
            counts[change.unit].kept -= no_longer_kept
            counts[change.unit].reject(f"{REASON_PREFIX}erased", no_longer_kept)
        after = before.model_copy(update={"files": files, "counts": counts})
        manifest.write(folder, after)
    _delete_unlisted(folder, after)
    return replaced


def _rewrite_file(folder: str, file: PartFile, change: TableChange, number: int) -> PartFile:
    source = storage.join(folder, file.name)
    name = new_name(file.name, number)
    schema = storage.footer(source).schema.to_arrow_schema()
    with storage.ParquetWriter(storage.join(folder, name), schema) as writer:
        for rows in storage.iter_parquet(source, None, BATCH_ROWS):
            affected = change.affected(rows)
            writer.write(change.change(rows, affected) if affected.any() else rows)
    return PartFile(part=file.part, name=name, rows=writer.rows, bytes=writer.bytes)


def new_name(name: str, number: int) -> str:
    """Return a file's name after takedown `number`. It sorts where the old name did."""
    stem = re.sub(r"(-t\d+)?\.parquet$", "", name)
    return f"{stem}-t{number}.parquet"


def _delete_unlisted(folder: str, listed: Manifest) -> None:
    """Delete parts that the manifest does not list: replaced ones and those of a killed run."""
    paths = {storage.join(folder, file.name) for file in listed.files}
    folders = {path.rpartition("/")[0] for path in paths}
    for path in storage.list_files(folder):
        if path not in paths and path.rpartition("/")[0] in folders and "part-" in path:
            storage.delete_file(path)
