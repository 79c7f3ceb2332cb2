"""Exports a finished dataset: as WebDataset tar files, or with the images in the rows.

`benben export RUN FOLDER`: each file of `dataset/data` becomes tar files of at most `--samples`
documents with their images, and `index.json` lists them (the webdataset library calls this format
wids). With `--form self-contained` the folder is a dataset with its card, in which each row holds
the bytes of its images.

Only complete files appear; run the same command again to write those that are missing. If the
dataset has changed since, as by a takedown, the files that are there are deleted and written anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import click
import pyarrow as pa
import pyarrow.compute as pc

from benben.analysis.dataset_card import card
from benben.analysis.tables import RunTables
from benben.common.command_line import RUN, Command
from benben.jobs.engine.progress import say
from benben.pipeline import manifest, storage
from benben.pipeline.dataset import self_contained, webdataset
from benben.pipeline.dataset.webdataset import ImageIndex
from benben.pipeline.errors import InputError
from benben.pipeline.manifest import Manifest

SAMPLES = 1_000  # in a tar file
OURS = re.compile(r"\w+-\d{5}-of-\d{5}.*(-\d{4}\.tar|\.parquet)|index\.json")
SOURCE = "source.json"  # names the files of the dataset that the tar files were made from


@click.command(cls=Command)
@RUN
@click.argument("to", metavar="FOLDER")
@click.option(
    "--form",
    type=click.Choice(["webdataset", "self-contained"]),
    default="webdataset",
    show_default=True,
    help="Tar files, or parquet with the images in the rows.",
)
@click.option(
    "--samples", type=click.IntRange(1), default=SAMPLES, show_default=True,
    help="Documents in a tar file.",
)  # fmt: skip
def main(run: str, to: str, form: str, samples: int) -> int:
    """Write the dataset of the folder RUN in another form.

    As WebDataset, each file of dataset/data becomes tar files of documents with their images, and
    index.json lists them. The self-contained form is a dataset with a card, whose rows hold the
    bytes of their images. FOLDER may be a URL. Run the same command again to write files that are
    missing.
    """
    if form == "self-contained":
        made = export_self_contained(RunTables(run), to)
        print(f"{to}: {made.rows:,} documents in {len(made.files)} files")
        return 0
    entries = export(RunTables(run), to, samples)
    print(f"{to}: {sum(one['nsamples'] for one in entries):,} samples in {len(entries)} files")
    return 0


def export(tables: RunTables, folder: str, size: int) -> list[dict[str, Any]]:
    """Write the missing tar files and the index, and return the index's entries.

    Raises InputError if the run has no dataset.
    """
    _begin(folder, folder, tables.need("dataset"))
    images = ImageIndex(_paths(tables, "dataset/images"))
    entries = []
    for path in _paths(tables, "dataset/data"):
        stem = path.rsplit("/", 1)[-1].removesuffix(".parquet")
        for number, rows in enumerate(storage.even_batches(storage.iter_parquet(path), size)):
            entry = {"url": f"{stem}-{number:04d}.tar", "nsamples": rows.num_rows}
            target = storage.join(folder, str(entry["url"]))
            if not storage.exists(target):
                with storage.new_file(target) as stream:
                    webdataset.write(stream, _samples(rows, images))
            entries.append(entry | {"filesize": storage.size(target)})
        say(f"export: {stem}")
    index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": entries}
    data = json.dumps(index, indent=1).encode()
    storage.write_bytes(storage.join(folder, "index.json"), data)
    return entries


def export_self_contained(tables: RunTables, folder: str) -> Manifest:
    """Write the missing files, the card and, last, the manifest, which is returned.

    Raises InputError if the run has no dataset, or the folder is one of another form.
    """
    dataset = tables.need("dataset")
    if storage.exists(storage.join(folder, "data")):
        raise InputError(f"{folder}: holds the dataset in another form; name another folder")
    inner = storage.join(folder, self_contained.FOLDER)
    _begin(folder, inner, dataset)
    images = ImageIndex(_paths(tables, "dataset/images"))
    files = []
    for file in [file for file in dataset.files if file.name.startswith("data/")]:
        name = f"{self_contained.FOLDER}/{file.name.removeprefix('data/')}"
        target = storage.join(folder, name)
        if not storage.exists(target):
            self_contained.write(storage.join(tables.folder("dataset"), file.name), target, images)
        rows, size = storage.footer(target).num_rows, storage.size(target)
        files.append(file.model_copy(update={"name": name, "rows": rows, "bytes": size}))
        say(f"export: {name}")
    made = dataset.model_copy(update={"files": files})
    title, url = card.title_and_url(tables.output)
    for name, text in card.texts_of(tables, title, url, files=files).items():
        storage.write_bytes(storage.join(folder, name), text.encode("utf-8"))
    manifest.write(folder, made)
    return made


def _begin(folder: str, inner: str, dataset: Manifest) -> None:
    """Delete files of another dataset in `inner`, and note of which one they are from now on."""
    files = sorted((file.name, file.rows, file.bytes) for file in dataset.files)
    source = json.dumps({"id": dataset.id, "files": files}).encode()
    path = storage.join(folder, SOURCE)
    if storage.exists(path) and storage.read_bytes(path) == source:
        return
    for file in storage.list_files(inner, recursive=False) if storage.is_folder(inner) else ():
        if OURS.fullmatch(file.rsplit("/", 1)[-1]):
            storage.delete_file(file)
    storage.write_bytes(path, source)


def _paths(tables: RunTables, table: str) -> list[str]:
    return sorted(path for files in tables.paths(table).values() for path in files)


def _samples(rows: pa.RecordBatch, images: ImageIndex) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the samples of a batch; holds the images of 100 documents in memory at once."""
    for start in range(0, rows.num_rows, 100):
        some = rows.slice(start, 100)
        names = pc.unique(some["image_sha256"].flatten().drop_null()).to_pylist()
        yield from webdataset.samples(some, images.read(set(names)))
