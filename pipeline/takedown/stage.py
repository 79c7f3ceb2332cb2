"""The dataset without what is taken down, made beside the one that readers read.

On a local disk a whole new folder is made, in which untouched files are links to the same bytes,
and the two folders change places in one step. An object store has no such step: there the files
made anew lie beside the old under other names. Meanwhile the card lists the dataset's files one by
one, so who reads by it, or by the manifest, sees the dataset before or after, never both.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import manifest, storage
from benben.pipeline.manifest import Counts, Manifest, PartFile
from benben.pipeline.takedown.erase import renamed
from benben.pipeline.takedown.pending import Pending
from benben.pipeline.takedown.removal import Removed, Request, still_shown, take_down

BATCH_ROWS = 500
BATCH_IMAGES = 64


@dataclass
class Staged:
    """A new dataset that waits to be published."""

    folder: str
    manifest: Manifest
    replaced: dict[str, str | None] = field(default_factory=dict)  # old name -> new; None: no rows


def scan(folder: str, request: Request) -> tuple[Removed, dict[str, Removed]]:
    """What would go from a dataset's documents: in all, and by file."""
    total, files = Removed(), {}
    for file in _data(folder):
        found = Removed()
        for rows in _batches(storage.join(folder, file.name)):
            found.add(take_down(rows, request)[1])
        if found:
            files[file.name] = found
            total.add(found)
    return total, files


def unused(folder: str, request: Request, removed: Removed) -> set[str]:
    """Images that no document shows once the removed are gone."""
    left = removed.sha256 - request.sha256
    for file in _data(folder):
        for rows in _batches(storage.join(folder, file.name)) if left else ():
            left -= still_shown(take_down(rows, request)[0], left)
    return left


def _batches(path: str) -> Iterable[pa.RecordBatch]:
    return storage.iter_parquet(path, None, BATCH_ROWS)


def _data(folder: str) -> list[PartFile]:
    made = manifest.read(folder)
    return [file for file in made.files if file.name.startswith("data/")] if made else []


def stage(output: str, pending: Pending) -> Staged:
    """Make the files that change."""
    source, target = storage.join(output, "dataset"), staging(output)
    made = manifest.read(source)
    assert made is not None
    if target != source:
        storage.delete_folder(target)
    removed, touched = scan(source, pending.request)
    staged, files = Staged(target, made), []
    for file in made.files:
        path, name = storage.join(source, file.name), renamed(file.name, pending.number)
        if file.name in touched:
            new = _write(path, target, name, file.part, _documents(path, pending.request))
        elif file.name.startswith("images/") and _holds(path, pending.images):
            new = _write(path, target, name, file.part, _images(path, pending.images))
        else:
            files.append(file)
            continue
        staged.replaced[file.name] = new.name if new else None
        files += [new] if new else []
    inputs = {**made.inputs, f"takedown/{pending.number}": pending.id}
    counts = _counts(made.counts, removed)
    staged.manifest = made.model_copy(update={"files": files, "inputs": inputs, "counts": counts})
    if target != source:
        _link(source, staged)
    return staged


def staging(output: str) -> str:
    """Where the new dataset is made: beside the old one, on object stores among its files."""
    local = storage.is_local(output)
    return storage.join(output, "dataset.next" if local else "dataset")


def _documents(path: str, request: Request) -> Iterator[pa.RecordBatch]:
    for rows in _batches(path):
        yield take_down(rows, request)[0]


def _holds(path: str, images: list[str]) -> bool:
    names = storage.read_parquet(path, ["sha256"])["sha256"]
    return bool(pc.any(pc.is_in(names, value_set=pa.array(images, pa.string()))).as_py())


def _images(path: str, images: list[str]) -> Iterator[pa.RecordBatch]:
    gone = pa.array(images, pa.string())
    for rows in storage.iter_parquet(path, None, BATCH_IMAGES):
        yield rows.filter(pc.invert(pc.is_in(rows["sha256"], value_set=gone)))


def _write(
    source: str, folder: str, name: str, part: int, batches: Iterator[pa.RecordBatch]
) -> PartFile | None:
    """Write a file anew, with row groups like the old one's; none when no row is left."""
    path, shape = storage.join(folder, name), storage.footer(source)
    groups = [shape.row_group(number).num_rows for number in range(shape.num_row_groups)]
    with storage.ParquetWriter(path, shape.schema.to_arrow_schema()) as writer:
        for rows in storage.even_batches(batches, max(groups, default=1)):
            writer.write(rows)
    if not writer.rows:
        storage.delete_file(path)
        return None
    return PartFile(part=part, name=name, rows=writer.rows, bytes=writer.bytes)


def _counts(before: Counts, removed: Removed) -> Counts:
    counts = {unit: count.model_copy(deep=True) for unit, count in before.items()}
    gone = {"documents": Counter(removed.documents.values()), "images": removed.slots}
    for unit, reasons in gone.items():
        for reason, number in reasons.items() if unit in counts else ():
            counts[unit].kept -= number
            counts[unit].reject(reason, number)
    return counts


def publish(output: str, staged: Staged, texts: Mapping[str, str]) -> None:
    """Let readers see the new dataset. `texts`: name of a file of the card -> its text."""
    dataset = storage.join(output, "dataset")
    for name, text in texts.items():
        storage.write_bytes(storage.join(staged.folder, name), text.encode("utf-8"))
    manifest.write(staged.folder, staged.manifest)
    if staged.folder != dataset:
        storage.swap(staged.folder, dataset)
    clean(output)


def _link(dataset: str, staged: Staged) -> None:
    """Bring what stays as it is into the new folder: the same bytes under one more name."""
    root, target = storage.local_path(dataset), storage.local_path(staged.folder)
    if root is None or target is None:
        raise ValueError(f"{dataset}: only local files can be linked")
    for path in storage.list_files(root):
        name = os.path.relpath(path, root)
        if name in staged.replaced or name == manifest.NAME or path.endswith(storage.UNFINISHED):
            continue
        os.makedirs(os.path.dirname(os.path.join(target, name)), exist_ok=True)
        try:
            os.link(path, os.path.join(target, name))
        except OSError:  # a disk without hard links
            shutil.copyfile(path, os.path.join(target, name))


def clean(output: str) -> None:
    """Remove the dataset that was replaced, and what a killed takedown left."""
    dataset = storage.join(output, "dataset")
    if staging(output) != dataset:
        storage.delete_folder(staging(output))
        return
    made = manifest.read(dataset)
    named = {storage.join(dataset, file.name) for file in made.files} if made else set()
    for kind in ("data", "images"):
        for path in storage.list_files(storage.join(dataset, kind)):
            if path not in named:
                storage.delete_file(path)
