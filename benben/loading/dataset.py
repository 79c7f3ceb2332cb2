"""`benben.load`: the documents of a dataset as a stream, for plain Python, PyTorch and datasets."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benben.loading import files, order
from benben.loading.documents import Document, Pictures, digests, document_of
from benben.loading.files import DatasetFiles, Form
from benben.loading.order import Shuffle, Window
from benben.loading.pictures import MAX_PIXELS, PictureStore
from benben.pipeline.errors import UserError

ROWS_AT_ONCE = 32  # that are Python objects, with the bytes of their pictures
MEBIBYTE = 1 << 20


def load(
    path: str,
    split: str = "train",
    *,
    pictures: Pictures = "decoded",
    shuffle: bool = False,
    seed: int = 0,
    buffer_documents: int = 10_000,
    buffer_bytes: int = 256 * MEBIBYTE,
    cache_bytes: int = 128 * MEBIBYTE,
    max_pixels: int = MAX_PIXELS,
    form: Form | None = None,
) -> Documents:
    """Open a dataset as a stream of documents with texts and pictures in order.

    `path`: a run's folder, a dataset's folder, a URL such as s3://BUCKET/FOLDER, or OWNER/NAME of a
    dataset on the Hugging Face Hub. `pictures`: "decoded" gives each as a PIL image, "bytes" its
    file, "references" only what is known of it. `shuffle` mixes whole row groups, and the rows of
    as many as fit into `buffer_documents` and `buffer_bytes`. `cache_bytes` of pictures by
    reference are held for further use. `form`: see `files.find`. Raises InputError where there is
    no such dataset or split.
    """
    if buffer_documents < 1 or buffer_bytes < 1:
        raise UserError("load: buffer_documents and buffer_bytes must be at least 1")
    found = files.find(path, split, form)
    mixed = Shuffle(seed, buffer_documents, buffer_bytes) if shuffle else None
    store = PictureStore(found.pictures, cache_bytes)
    return Documents(found, files.footers(found.documents), store, pictures, mixed, max_pixels)


@dataclass
class Documents:
    """A stream of documents. A loop over it begins at the start of the epoch, or at a loaded state.

    `taken` documents of this shard's epoch have been handed out.
    """

    files: DatasetFiles
    footers: list[pq.FileMetaData] = field(repr=False)
    store: PictureStore = field(repr=False)
    pictures: Pictures = "decoded"
    shuffle: Shuffle | None = None
    max_pixels: int = MAX_PIXELS
    index: int = 0  # of `count` shards
    count: int = 1
    epoch: int = 0
    taken: int = 0
    _resumed: bool = field(default=False, repr=False)

    def __len__(self) -> int:
        """Number of documents of this shard in this epoch."""
        return sum(window.rows for window in self._windows())

    def __iter__(self) -> Iterator[Document]:
        self.taken = self.taken if self._resumed else 0
        self._resumed = False
        for name, row, stored in self._rows():
            self.taken += 1
            yield document_of(row, name, stored, self.pictures, self.max_pixels)

    def shard(self, index: int, count: int) -> Documents:
        """Return a part of this stream: all `count` of them together hold each document once.

        Raises UserError for an index that is not below the count.
        """
        if not 0 <= index < count:
            raise UserError(f"shard: index {index} is not from 0 to {count - 1}")
        made = copy.copy(self)
        made.store = PictureStore(self.store.paths, self.store.cache_bytes)
        made.index, made.count = self.index + self.count * index, self.count * count
        made.taken, made._resumed = 0, False
        return made

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next loop: with `shuffle`, each has an order of its own."""
        self.epoch, self.taken, self._resumed = epoch, 0, False

    def state_dict(self) -> dict[str, Any]:
        """Return the position after the last document that was handed out, as plain values."""
        return {**self._place(), "epoch": self.epoch, "taken": self.taken}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next loop go on at a position.

        Raises UserError if it is of other files, another shard or another way of shuffling.
        """
        for name, value in self._place().items():
            if state.get(name) != value:
                raise UserError(f"state: {name} is {state.get(name)!r}, here it is {value!r}")
        self.epoch, self.taken, self._resumed = int(state["epoch"]), int(state["taken"]), True

    def to_torch(self, rank: int | None = None, ranks: int | None = None) -> Any:
        """Return an IterableDataset of PyTorch, sharded over ranks and workers.

        Without `rank` and `ranks`, those of torch.distributed where it is initialised.
        """
        from benben.loading.torch_dataset import to_torch

        return to_torch(self, rank, ranks)

    def to_datasets(self) -> Any:
        """Return an IterableDataset of `datasets` with pictures as its Image features."""
        from benben.loading.hf_dataset import to_datasets

        return to_datasets(self)

    def _place(self) -> dict[str, Any]:
        mixed = self.shuffle and [self.shuffle.seed, self.shuffle.rows, self.shuffle.bytes]
        shard = [self.index, self.count]
        return {"files": self._fingerprint(), "shuffle": mixed, "shard": shard}

    def _fingerprint(self) -> str:
        """A digest of the files' names, rows and bytes, in order."""
        digest = hashlib.sha256()
        for path, footer in zip(self.files.documents, self.footers, strict=True):
            digest.update(path.rsplit("/", 1)[-1].encode())
            for number in range(footer.num_row_groups):
                group = footer.row_group(number)
                digest.update(f" {group.num_rows} {group.total_byte_size}".encode())
        return digest.hexdigest()[:16]

    def _windows(self) -> list[Window]:
        units = order.units_of(self.footers, self.count)
        return order.windows(units, self.shuffle, self.epoch, self.index, self.count)

    def _rows(self) -> Iterator[tuple[str, dict[str, Any], Mapping[str, bytes]]]:
        """Yield name and row of each document left, and the pictures of some that come together."""
        planned = self._windows()
        number, skipped = order.seek(planned, self.taken)
        for window in planned[number:]:
            tables = [self._table(unit.file, unit.group) for unit in window.units]
            names = [f"{self.files.documents[u.file]}#{u.group}." for u in window.units]
            places = window.places()[skipped:]
            skipped = 0
            for start in range(0, len(places), ROWS_AT_ONCE):
                some = places[start : start + ROWS_AT_ONCE]
                rows = _taken(tables, some)
                stored = self._stored(rows)
                for (unit, row), values in zip(some.tolist(), rows, strict=True):
                    yield f"{names[unit]}{row}", values, stored
            del tables

    def _table(self, file: int, group: int) -> pa.Table:
        opened = files.open_parquet(self.files.documents[file], self.footers[file])
        return opened.read_row_group(group, self._columns(opened), use_threads=False)

    def _columns(self, opened: pq.ParquetFile) -> list[str] | None:
        """The columns to read: not the bytes in the rows where only references are wanted."""
        if self.pictures != "references" or self.files.form == "data":
            return None
        leaves = (opened.schema.column(number) for number in range(len(opened.schema)))
        return [leaf.path for leaf in leaves if not leaf.path.endswith(".bytes")]

    def _stored(self, rows: list[dict[str, Any]]) -> Mapping[str, bytes]:
        if self.pictures == "references" or not self.store.paths:
            return {}
        return self.store.read(name for row in rows for name in digests(row) if name)


def _taken(tables: list[pa.Table], places: np.ndarray) -> list[dict[str, Any]]:
    """Return the rows at (table, row), in order."""
    rows: list[dict[str, Any]] = [{}] * len(places)
    for number in np.unique(places[:, 0]).tolist():
        (mine,) = np.nonzero(places[:, 0] == number)
        found = places[mine, 1]
        table = tables[number]
        images = table.column("images")
        if bool((np.diff(found) == 1).all()):
            some = table.slice(int(found[0]), len(found)).to_pylist()
        else:  # images, which may be large, are not copied first
            some = table.drop_columns("images").take(pa.array(found)).to_pylist()
            for place, row in zip(found.tolist(), some, strict=True):
                row["images"] = images[place].as_py()
        for place, row in zip(mine.tolist(), some, strict=True):
            rows[place] = row
    return rows
