"""Write a new dataset without what is taken down, beside the one in use, then replace that.

On a local disk the new dataset is a whole new folder, in which unchanged files are hard links to
the old ones. The two folders are swapped in one step. An object store cannot do that: there the new
files lie beside the old ones under other names. During the takedown, the dataset card lists the
data files one by one. So readers that follow the card or the manifest see the dataset either before
or after, never a mixture.
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
from benben.pipeline.dataset import shipped_files
from benben.pipeline.manifest import Counts, Manifest, PartFile
from benben.pipeline.takedown import takedown_log
from benben.pipeline.takedown.dataset_rows import Removal, Removed, remove, still_shown
from benben.pipeline.takedown.rewrite_tables import new_name
from benben.pipeline.takedown.takedown_log import PendingTakedown

BATCH_ROWS = 500


# What the takedown finds in the dataset


def find_removed(folder: str, removal: Removal) -> tuple[Removed, dict[str, Removed]]:
    """Return what would be removed from a dataset's documents: in total, and by file name."""
    total, files = Removed(), {}
    for file in _data_files(folder):
        found = Removed()
        for rows in _batches(storage.join(folder, file.name)):
            found.add(remove(rows, removal)[1])
        if found:
            files[file.name] = found
            total.add(found)
    return total, files


def find_unused_images(folder: str, removal: Removal, removed: Removed) -> set[str]:
    """Return the SHA-256 of removed images that no document shows afterwards.

    Images that the takedown removes by their SHA-256 are left out.
    """
    unused = removed.sha256 - removal.sha256
    for file in _data_files(folder):
        for rows in _batches(storage.join(folder, file.name)) if unused else ():
            unused -= still_shown(remove(rows, removal)[0], unused)
    return unused


def _batches(path: str) -> Iterable[pa.RecordBatch]:
    return storage.iter_parquet(path, None, BATCH_ROWS)


def _data_files(folder: str) -> list[PartFile]:
    found = manifest.read(folder)
    return [file for file in found.files if file.name.startswith("data/")] if found else []


# Write the new dataset


@dataclass
class NewDataset:
    """A dataset that is written but not yet published."""

    folder: str
    manifest: Manifest
    replaced: dict[str, str | None] = field(default_factory=dict)  # old file -> new; None: no rows


def write_new_dataset(output: str, takedown: PendingTakedown) -> NewDataset:
    """Write the files that change; on a local disk, link the others."""
    source, target = storage.join(output, "dataset"), new_folder(output)
    before = manifest.read(source)
    assert before is not None
    if target != source:
        storage.delete_folder(target)
    removed, affected = find_removed(source, takedown.removal)
    dataset, files = NewDataset(target, before), []
    for file in before.files:
        path, name = storage.join(source, file.name), new_name(file.name, takedown.number)
        if file.name in affected:
            rows = _documents_left(path, takedown.removal)
            written = write_file(path, target, name, file.part, rows)
        elif file.name.startswith("images/") and _has_any(path, takedown.images):
            rows = _images_left(path, takedown.images)
            written = write_file(path, target, name, file.part, rows)
        else:
            files.append(file)
            continue
        dataset.replaced[file.name] = written.name if written else None
        files += [written] if written else []
    entry = takedown.log_entry([file.name for file in files])
    inputs = {**before.inputs, takedown.key: takedown_log.digest(entry)}
    counts = _subtract(before.counts, removed)
    dataset.manifest = before.model_copy(
        update={"files": files, "inputs": inputs, "counts": counts}
    )
    if target != source:
        _link_unchanged(source, dataset)
    return dataset


def new_folder(output: str) -> str:
    """Return where the new dataset is written; on an object store, the dataset's own folder."""
    local = storage.is_local(output)
    return storage.join(output, "dataset.next" if local else "dataset")


def _documents_left(path: str, removal: Removal) -> Iterator[pa.RecordBatch]:
    for rows in storage.iter_row_groups(path):
        yield remove(rows, removal)[0]


def _has_any(path: str, images: list[str]) -> bool:
    names = storage.read_parquet(path, ["sha256"])["sha256"]
    return bool(pc.any(pc.is_in(names, value_set=pa.array(images, pa.string()))).as_py())


def _images_left(path: str, images: list[str]) -> Iterator[pa.RecordBatch]:
    removed = pa.array(images, pa.string())
    for rows in storage.iter_row_groups(path):
        yield rows.filter(pc.invert(pc.is_in(rows["sha256"], value_set=removed)))


def write_file(
    source: str, folder: str, name: str, part: int, batches: Iterator[pa.RecordBatch]
) -> PartFile | None:
    """Write a file; None if no row is left.

    What is left of a row group of the old file is a row group of the new one: others keep their
    bytes, so that stores which know them need not be sent them again.
    """
    path, schema = storage.join(folder, name), storage.parquet_schema(source)
    with storage.ParquetWriter(path, schema, options=shipped_files.options(schema)) as writer:
        for rows in batches:
            if rows.num_rows:
                writer.write(rows)
    if not writer.rows:
        storage.delete_file(path)
        return None
    return PartFile(part=part, name=name, rows=writer.rows, bytes=writer.bytes)


def _subtract(before: Counts, removed: Removed) -> Counts:
    """Return the manifest's counts with what was removed counted as rejected."""
    counts = {unit: count.model_copy(deep=True) for unit, count in before.items()}
    by_unit = {"documents": Counter(removed.documents.values()), "images": removed.slots}
    for unit, reasons in by_unit.items():
        for reason, number in reasons.items() if unit in counts else ():
            counts[unit].kept -= number
            counts[unit].reject(reason, number)
    return counts


def _link_unchanged(dataset: str, new: NewDataset) -> None:
    """Link unchanged files into the new folder, or copy them if the disk has no hard links."""
    root, target = storage.local_path(dataset), storage.local_path(new.folder)
    if root is None or target is None:
        raise ValueError(f"{dataset}: only local files can be linked")
    for path in storage.list_files(root):
        name = os.path.relpath(path, root)
        if name in new.replaced or name == manifest.NAME or path.endswith(storage.UNFINISHED):
            continue
        os.makedirs(os.path.dirname(os.path.join(target, name)), exist_ok=True)
        try:
            os.link(path, os.path.join(target, name))
        except OSError:
            shutil.copyfile(path, os.path.join(target, name))


# Publish it


def publish(output: str, new: NewDataset, card_files: Mapping[str, str]) -> None:
    """Replace the dataset by the new one.

    `card_files` maps the name of each file of the dataset card to its text.
    """
    dataset = storage.join(output, "dataset")
    for name, text in card_files.items():
        storage.write_bytes(storage.join(new.folder, name), text.encode("utf-8"))
    manifest.write(new.folder, new.manifest)
    if new.folder != dataset:
        storage.swap(new.folder, dataset)
    delete_leftovers(output)


def delete_leftovers(output: str) -> None:
    """Delete the replaced dataset, and what a killed takedown left behind."""
    dataset = storage.join(output, "dataset")
    if new_folder(output) != dataset:
        storage.delete_folder(new_folder(output))
        return
    current = manifest.read(dataset)
    listed = {storage.join(dataset, file.name) for file in current.files} if current else set()
    for kind in ("data", "images"):
        for path in storage.list_files(storage.join(dataset, kind)):
            if path not in listed:
                storage.delete_file(path)
