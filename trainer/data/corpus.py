"""One corpus of OBELICS-schema parquet: a document index from footers, rows read on demand.

Needs `images` and `texts` (parallel lists, one non-null a slot); uses `doc_id`, `lang`, `host`,
`image_sha256` and `image_bytes` where they are. Paths are local or any URL fsspec opens.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.fsspec import register

from benben.common.errors import UserError

COLUMNS = ("images", "texts", "doc_id", "lang", "host", "image_sha256", "image_bytes")
OPTIONAL = COLUMNS[2:]
KEPT_GROUPS = 4  # row groups in memory a corpus


class CorpusError(UserError):
    """Parquet that is not of the schema; the message names file and column."""


@dataclass(frozen=True)
class Slot:
    """One position of a document: a text, or an image by digest, bytes or (unusable) URL alone."""

    text: str | None
    sha256: str | None = None
    data: bytes | None = None


@dataclass(frozen=True)
class Document:
    name: str
    lang: str
    host: str
    slots: list[Slot]


if "s3" not in fsspec.registry:  # read S3 as the pipeline does, from AWS_* in the environment
    register(["s3", "s3a"])


def expand(path: str) -> list[str]:
    """Return the parquet files of a folder, glob or file, sorted. Raises CorpusError for none.

    Paths are local or any URL fsspec opens, such as s3://BUCKET/FOLDER or
    hf://datasets/NAME/FOLDER (with huggingface_hub installed).
    """
    fs, root = fsspec.core.url_to_fs(path)
    if "*" in root:
        found = fs.glob(root)
    elif root.endswith(".parquet"):
        found = [root]
    else:
        found = [f for f in fs.find(root) if f.endswith(".parquet")]
    if not found:
        raise CorpusError(f"{path}: no parquet files")
    protocol = path.split("://")[0] + "://" if "://" in path else ""
    return [f if "://" in f else protocol + f for f in sorted(found)]


def open_parquet(path: str) -> pq.ParquetFile:
    """Open a parquet file and read its footer. Local files are mapped into memory."""
    fs, root = fsspec.core.url_to_fs(path)
    if fs.protocol == "file" or "file" in fs.protocol:
        return pq.ParquetFile(root, memory_map=True)
    return pq.ParquetFile(fs.open(root, "rb", cache_type="readahead"))


class Corpus:
    """Documents 0 .. n-1 in the order of files, row groups and rows."""

    def __init__(self, path: str, name: str | None = None) -> None:
        self.name = name or path
        self.files = expand(path)
        sizes: list[int] = []
        self.places: list[tuple[int, int]] = []  # of each row group: file, group
        for number, file in enumerate(self.files):
            with open_parquet(file) as parquet:
                self._check(file, parquet.schema_arrow)
                for group in range(parquet.metadata.num_row_groups):
                    self.places.append((number, group))
                    sizes.append(parquet.metadata.row_group(group).num_rows)
        self.group_sizes = np.array(sizes, np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.group_sizes)])
        self._kept: OrderedDict[int, list[dict[str, Any]]] = OrderedDict()

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": OrderedDict()}

    @staticmethod
    def _check(file: str, schema: pa.Schema) -> None:
        for column in ("images", "texts"):
            if column not in schema.names or not pa.types.is_list(schema.field(column).type):
                raise CorpusError(f"{file}: needs a list column '{column}' (OBELICS's schema)")

    def languages(self) -> np.ndarray:
        """Return each document's language (one column is read; 'und' without it)."""
        parts: list[str] = []
        for file in self.files:
            with open_parquet(file) as parquet:
                if "lang" in parquet.schema_arrow.names:
                    column = parquet.read(columns=["lang"]).column("lang").to_pylist()
                    parts += [value or "und" for value in column]
                else:
                    parts += ["und"] * parquet.metadata.num_rows
        return np.array(parts, dtype=object)

    def read(self, index: int) -> Document:
        """Return document `index`."""
        group = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self._document(self._rows(group)[index - int(self.starts[group])], index)

    def _rows(self, group: int) -> list[dict[str, Any]]:
        if group in self._kept:
            self._kept.move_to_end(group)
            return self._kept[group]
        file, number = self.places[group]
        with open_parquet(self.files[file]) as parquet:
            columns = [c for c in COLUMNS if c in parquet.schema_arrow.names]
            rows = parquet.read_row_group(number, columns=columns).to_pylist()
        self._kept[group] = rows
        if len(self._kept) > KEPT_GROUPS:
            self._kept.popitem(last=False)
        return rows

    def _document(self, row: dict[str, Any], index: int) -> Document:
        images, texts = row["images"] or [], row["texts"] or []
        name = row.get("doc_id") or f"{self.name}#{index}"
        if len(images) != len(texts):
            raise CorpusError(f"{name}: {len(images)} images beside {len(texts)} texts")
        digests = row.get("image_sha256") or [None] * len(images)
        data = row.get("image_bytes") or [None] * len(images)
        slots = [
            Slot(text) if text is not None else Slot(None, digest, content)
            for text, digest, content in zip(texts, digests, data, strict=True)
        ]
        return Document(name, row.get("lang") or "und", row.get("host") or "", slots)


def held_out(document: Document, share: float, by: str) -> bool:
    """Whether a document belongs to evaluation: by its host's (or own) digest, so no site leaks."""
    key = document.host if by == "host" and document.host else document.name
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
