"""Finds the files of a dataset: in a run, in a folder, in a store or on the Hugging Face Hub."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from benben.pipeline import manifest, storage
from benben.pipeline.errors import InputError

Form = Literal["data", "self_contained"]  # names of folders and of configs on the card
FORMS: tuple[Form, ...] = ("self_contained", "data")  # the first has its pictures with its rows
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
FOOTERS_AT_ONCE = 16


@dataclass(frozen=True)
class DatasetFiles:
    """The files of one split in one form."""

    root: str
    form: Form
    documents: list[str]
    pictures: list[str]  # of all splits; none where rows hold their pictures


def find(path: str, split: str, form: Form | None = None) -> DatasetFiles:
    """Find the files of a split.

    `path` is a run's folder, a dataset's folder, a URL, or OWNER/NAME of a dataset on the Hub.
    Without `form` the self-contained files are taken where they exist. Where there is a manifest,
    only the files that it lists count. Raises InputError if there is no such split.
    """
    root = _root(path)
    names = _names(root)
    for kind in (form,) if form else FORMS:
        found = [name for name in names if name.startswith(f"{kind}/{split}-")]
        if found:
            pictures = [name for name in names if name.startswith("images/") and kind == "data"]
            return DatasetFiles(root, kind, *(_under(root, each) for each in (found, pictures)))
    splits = {name.split("/")[1].split("-")[0] for name in names if name.startswith(FORMS)}
    known = f"; it has {', '.join(sorted(splits))}" if splits else ": no dataset here"
    raise InputError(f"{path}: no files of split {split!r}{f' in form {form}' * bool(form)}{known}")


def _root(path: str) -> str:
    path = os.fspath(path).rstrip("/")
    if "://" not in path and REPOSITORY.fullmatch(path) and not os.path.exists(path):
        return f"hf://datasets/{path}"
    inner = storage.join(path, "dataset")
    return inner if storage.exists(storage.join(inner, manifest.NAME)) else path


def _names(root: str) -> list[str]:
    found = manifest.read(root)
    if found:
        return sorted(file.name for file in found.files)
    paths = storage.list_files(root)
    return [path.removeprefix(root).strip("/") for path in paths if path.endswith(".parquet")]


def _under(root: str, names: Sequence[str]) -> list[str]:
    return [storage.join(root, name) for name in names]


def open_parquet(path: str, footer: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """Open a parquet file; a local one is mapped into memory."""
    local = storage.local_path(path)
    if local is not None:
        return pq.ParquetFile(pa.memory_map(local), metadata=footer)
    return pq.ParquetFile(storage.open_input(path), metadata=footer, pre_buffer=True)


def footers(paths: Sequence[str]) -> list[pq.FileMetaData]:
    """Read the footers of files, several at once."""
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        return list(pool.map(storage.footer, paths))
