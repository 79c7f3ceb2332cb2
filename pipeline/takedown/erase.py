"""The tables of a run without what is taken down.

Tables whose rows stand beside those of others keep a row that says nothing but why; the rest lose
theirs. A table's new files come under new names and its manifest is exchanged, so that readers see
the table as it was or as it is.
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
from benben.pipeline.takedown.pending import Pending
from benben.pipeline.takedown.tombstones import REASON

Mask = npt.NDArray[np.bool_]
BATCH_ROWS = 500
_TEXTS = ("url", "url_key", "host", "domain")  # of `documents`, never null


@dataclass(frozen=True)
class Erasure:
    """How one table loses rows, or what they say."""

    table: str
    columns: list[str]  # that `hit` and `lost` read
    hit: Callable[[pa.RecordBatch], Mask]  # rows to change
    change: Callable[[pa.RecordBatch, Mask], pa.RecordBatch]
    unit: str = ""  # of the manifest's counts ...
    lost: Callable[[pa.RecordBatch], Mask] | None = None  # ... of which these rows were kept


def erasures(pending: Pending) -> list[Erasure]:
    """What to do, in the order it has to be done: `documents`, which tell what is meant, last."""
    names = sorted(pending.documents), sorted(pending.documents.keys() | pending.nodes.keys())
    gone, shown = (_named("doc_id", one) for one in names)
    stored = _named("sha256", pending.images)
    address = pending.request.tombstones.address

    def covered(rows: pa.RecordBatch) -> Mask:
        return np.array([address(url) is not None for url in rows["url"].to_pylist()], bool)

    def images(rows: pa.RecordBatch) -> Mask:
        return covered(rows) | stored(rows)

    def kept(rows: pa.RecordBatch) -> Mask:
        return gone(rows) & _mask(rows["kept"])

    def extracted(rows: pa.RecordBatch) -> Mask:
        return gone(rows) & _mask(rows["reason"].is_null())

    def fetched(rows: pa.RecordBatch) -> Mask:
        return images(rows) & _mask(rows["reason"].is_null())

    verdict, signals, document = (_each(each, pending) for each in (_verdict, _signals, _document))
    judged, row = (["doc_id", "kept"], ["doc_id", "reason"])
    return [
        Erasure("verdicts", judged, shown, verdict, "documents", kept),
        Erasure("final_verdicts", judged, shown, verdict, "documents", kept),
        Erasure("signals", row, gone, signals, "documents", extracted),
        Erasure("image_uses", ["sha256"], stored, _drop),
        Erasure("image_bytes", ["sha256"], stored, _drop),
        Erasure("images", ["url", "sha256", "reason"], images, _drop, "images", fetched),
        Erasure("captures", ["url"], covered, _drop),
        Erasure("dead_letters", ["url"], covered, _drop),
        Erasure("documents", row, shown, document, "documents", extracted),
    ]


def _named(column: str, names: list[str]) -> Callable[[pa.RecordBatch], Mask]:
    values = pa.array(names, pa.string())
    return lambda rows: _mask(pc.is_in(rows[column], value_set=values))


def _mask(column: pa.Array) -> Mask:
    return np.asarray(column, np.bool_)


def _drop(rows: pa.RecordBatch, hit: Mask) -> pa.RecordBatch:
    return rows.filter(pa.array(~hit))


def _each(
    change: Callable[[dict[str, Any], Pending], None], pending: Pending
) -> Callable[[pa.RecordBatch, Mask], pa.RecordBatch]:
    def work(rows: pa.RecordBatch, hit: Mask) -> pa.RecordBatch:
        changed = rows.to_pylist()
        for place in np.flatnonzero(hit):
            change(changed[place], pending)
        return pa.RecordBatch.from_pylist(changed, rows.schema)

    return work


def _document(row: dict[str, Any], pending: Pending) -> None:
    if row["doc_id"] in pending.documents:
        place = {name: row[name] for name in ("doc_id", "warc", "warc_offset", "warc_length")}
        row |= dict.fromkeys(row) | place | dict.fromkeys(_TEXTS, "")
        row |= {"opt_outs": [], "licenses": [], "page_images": [], "nodes": []}
        row["reason"] = pending.documents[place["doc_id"]]
        return
    gone = pending.nodes[row["doc_id"]]
    addresses = {node["url"] for node in row["nodes"] if node["index"] in gone}
    row["page_images"] = [one for one in row["page_images"] or [] if one not in addresses]
    for node in row["nodes"]:
        if node["index"] in gone:
            node |= {"url": "", "src": "", "alt": None, "title": None, "caption": None}


def _signals(row: dict[str, Any], pending: Pending) -> None:
    row |= {name: [] for name in ("paragraphs", "images", "repeats")}
    row |= dict.fromkeys(("text_nodes", "image_nodes", "break_nodes"), 0)
    row["reason"] = pending.documents[row["doc_id"]]


def _verdict(row: dict[str, Any], pending: Pending) -> None:
    reason = pending.documents.get(row["doc_id"])
    if reason:
        row |= {"kept": False, "reasons": [reason], "values": [None], "bounds": [None]}
        row["dropped"] = []
        return
    gone = pending.nodes[row["doc_id"]]
    left = [entry for entry in row["dropped"] if entry["index"] not in gone]
    blank = {"value": None, "bound": None, "paragraph": None}
    entries = [{"index": index, "reason": why, **blank} for index, why in gone.items()]
    row["dropped"] = sorted(left + entries, key=lambda e: (e["index"], e["paragraph"] or 0))


def erase(output: str, erasure: Erasure, number: int) -> list[str]:
    """Do one erasure; returns the files that were made anew. `number`: of the takedown."""
    folder = storage.join(output, erasure.table)
    made = manifest.read(folder)
    if made is None:
        return []
    old, files, lost = [], [], 0
    for file in made.files:
        path = storage.join(folder, file.name)
        found = 0
        for rows in storage.iter_parquet(path, erasure.columns, BATCH_ROWS):
            found += int(erasure.hit(rows).sum())
            lost += int(erasure.lost(rows).sum()) if erasure.lost else 0
        files.append(_rewrite(folder, file, erasure, number) if found else file)
        old += [file.name] if found else []
    if old:
        counts = {unit: count.model_copy(deep=True) for unit, count in made.counts.items()}
        if lost and erasure.unit in counts:
            counts[erasure.unit].kept -= lost
            counts[erasure.unit].reject(f"{REASON}erased", lost)
        made = made.model_copy(update={"files": files, "counts": counts})
        manifest.write(folder, made)
    _sweep(folder, made)
    return old


def _rewrite(folder: str, file: PartFile, erasure: Erasure, number: int) -> PartFile:
    source = storage.join(folder, file.name)
    name = renamed(file.name, number)
    schema = storage.footer(source).schema.to_arrow_schema()
    with storage.ParquetWriter(storage.join(folder, name), schema) as writer:
        for rows in storage.iter_parquet(source, None, BATCH_ROWS):
            hit = erasure.hit(rows)
            writer.write(erasure.change(rows, hit) if hit.any() else rows)
    return PartFile(part=file.part, name=name, rows=writer.rows, bytes=writer.bytes)


def renamed(name: str, number: int) -> str:
    """A file's name after takedown `number`: sorted where it was."""
    stem = re.sub(r"(-t\d+)?\.parquet$", "", name)
    return f"{stem}-t{number}.parquet"


def _sweep(folder: str, made: Manifest) -> None:
    """Remove parts of the table that its manifest does not name: replaced, or left by a kill."""
    named = {storage.join(folder, file.name) for file in made.files}
    homes = {name.rpartition("/")[0] for name in named}
    for path in storage.list_files(folder):
        if path not in named and path.rpartition("/")[0] in homes and "part-" in path:
            storage.delete_file(path)
