"""Documents and images from parquet: one corpus of OBELICS's schema, images beside it.

A corpus needs the columns `images` and `texts` (parallel lists, one of the two non-null at each
position) and uses `doc_id`, `lang`, `host`, `image_sha256` and `image_bytes` where they exist. In
the self-contained form `images` holds the images themselves, as structs of `bytes` and `path`. Its
index is built from the files' footers; rows are read on demand. Paths are local, or any URL
that fsspec opens.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benben.common.errors import UserError
from benben.trainer.object_stores import register_stores

COLUMNS = ("images", "texts", "doc_id", "lang", "host", "image_sha256", "image_bytes")
SPLIT_NAME = re.compile(r"(train|validation|test)-[^/]*\.parquet$")  # Hugging Face's convention
KEPT_GROUPS = 4  # row groups in memory for each corpus and each image store
MAX_PIXELS = 64_000_000  # larger images are not decoded


class CorpusError(UserError):
    """Parquet that is not of the schema; the message names file and column."""


@dataclass(frozen=True)
class Slot:
    """One position of a document: a text, or an image by digest, by bytes, or by URL alone.

    An image that has only a URL cannot be used.
    """

    text: str | None
    sha256: str | None = None
    data: bytes | None = None


@dataclass(frozen=True)
class Document:
    """A page; `place` is its corpus, epoch and number in the order of a run."""

    name: str
    lang: str
    host: str
    slots: list[Slot]
    place: tuple[int, int, int] = (0, 0, 0)


register_stores()


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


def of_split(files: list[str], split: str, path: str) -> list[str]:
    """Return the files of a split; all files when no name tells a split.

    Raises CorpusError when names tell splits and none of them is `split`.
    """
    splits = {file: found.group(1) for file in files if (found := SPLIT_NAME.search(file))}
    if not splits:
        return files
    chosen = [file for file in files if splits.get(file) == split]
    if not chosen:
        known = ", ".join(sorted(set(splits.values())))
        raise CorpusError(f"{path}: no files of split {split!r}; it has {known}")
    return chosen


def open_parquet(path: str) -> pq.ParquetFile:
    """Open a parquet file and read its footer. Local files are mapped into memory.

    Raises CorpusError for a file that cannot be read.
    """
    fs, root = fsspec.core.url_to_fs(path)
    try:
        if fs.protocol == "file" or "file" in fs.protocol:
            return pq.ParquetFile(root, memory_map=True)
        return pq.ParquetFile(fs.open(root, "rb", cache_type="readahead"))
    except (pa.ArrowInvalid, OSError) as error:
        why = str(error).splitlines()[0]
        raise CorpusError(f"{path}: truncated, or no parquet: copy it again ({why})") from None


class Corpus:
    """Documents 0 to n-1, in the order of files, row groups and rows."""

    def __init__(self, path: str, name: str | None = None, split: str = "train") -> None:
        self.name = name or path
        self.files = of_split(expand(path), split, path)
        sizes: list[int] = []
        digest = hashlib.sha256()
        self.places: list[tuple[int, int]] = []  # file and number in it, of each row group
        for number, file in enumerate(self.files):
            digest.update(file.rsplit("/", 1)[-1].encode())
            with open_parquet(file) as parquet:
                self._check(file, parquet.schema_arrow)
                for group in range(parquet.metadata.num_row_groups):
                    found = parquet.metadata.row_group(group)
                    self.places.append((number, group))
                    sizes.append(found.num_rows)
                    digest.update(f" {found.num_rows} {found.total_byte_size}".encode())
        self.fingerprint = digest.hexdigest()[:16]  # of names, rows and bytes, in order
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

    def holds_images(self) -> bool:
        """Tell whether rows hold the bytes of their images."""
        with open_parquet(self.files[0]) as parquet:
            schema = parquet.schema_arrow
        in_place = pa.types.is_struct(schema.field("images").type.value_type)
        return in_place or "image_bytes" in schema.names

    def languages(self) -> np.ndarray:
        """Return the language of each document, 'und' where there is none; reads one column."""
        parts: list[str] = []
        for file in self.files:
            with open_parquet(file) as parquet:
                if "lang" in parquet.schema_arrow.names:
                    column = parquet.read(columns=["lang"]).column("lang").to_pylist()
                    parts += [value or "und" for value in column]
                else:
                    parts += ["und"] * parquet.metadata.num_rows
        return np.array(parts, dtype=object)

    def ids(self) -> np.ndarray | None:
        """Return 64 bits of the SHA-256 of each document's id, uint64; None where ids are missing.

        Reads one column.
        """
        parts: list[np.ndarray] = []
        for file in self.files:
            with open_parquet(file) as parquet:
                if "doc_id" not in parquet.schema_arrow.names:
                    return None
                for batch in parquet.iter_batches(columns=["doc_id"]):
                    names = batch.column(0).to_pylist()
                    if not all(names):
                        return None
                    digests = b"".join(hashlib.sha256(n.encode()).digest()[:8] for n in names)
                    parts.append(np.frombuffer(digests, "<u8"))
        return np.concatenate(parts) if parts else np.array([], np.uint64)

    def read(self, index: int) -> Document:
        """Return a document by its index."""
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
            raise CorpusError(f"{name}: {len(images)} images, but {len(texts)} texts")
        digests = row.get("image_sha256") or [None] * len(images)
        data = row.get("image_bytes") or [None] * len(images)
        slots = [
            Slot(text)
            if text is not None
            else Slot(None, digest, image.get("bytes") if isinstance(image, dict) else content)
            for text, image, digest, content in zip(texts, images, digests, data, strict=True)
        ]
        return Document(name, row.get("lang") or "und", row.get("host") or "", slots)


def held_out(document: Document, share: float, by: str) -> bool:
    """Whether a document is held out for evaluation, decided by the digest of its host or name.

    With `by` "host" all documents of a site are on the same side.
    """
    key = document.host if by == "host" and document.host else document.name
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


class ImageStore:
    """Image bytes by their SHA-256, from parquet files with columns `sha256` and `bytes`.

    The index takes 16 bytes for each image: the first 8 of the digest, the row group and the row.
    The digest is verified when an image is read.
    """

    def __init__(self, path: str) -> None:
        self.files = expand(path)
        self.places: list[tuple[int, int]] = []
        keys: list[np.ndarray] = []
        places: list[np.ndarray] = []
        for number, file in enumerate(self.files):
            with open_parquet(file) as parquet:
                for group in range(parquet.metadata.num_row_groups):
                    column = parquet.read_row_group(group, columns=["sha256"]).column(0)
                    digests = [d or "" for d in column.to_pylist()]
                    keys.append(np.array([_prefix(d) for d in digests], np.uint64))
                    rows = np.arange(len(digests), dtype=np.uint64)
                    places.append(np.uint64(len(self.places) << 32) + rows)
                    self.places.append((number, group))
        order = np.argsort(np.concatenate(keys), kind="stable") if keys else np.array([], int)
        self.keys = np.concatenate(keys)[order] if keys else np.array([], np.uint64)
        self.rows = np.concatenate(places)[order] if keys else np.array([], np.uint64)
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self.groups_read = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": OrderedDict()}

    def __contains__(self, sha256: str) -> bool:
        return self._find(sha256) is not None

    def _find(self, sha256: str) -> int | None:
        key = np.uint64(_prefix(sha256))
        at = int(np.searchsorted(self.keys, key))
        return int(self.rows[at]) if at < len(self.keys) and self.keys[at] == key else None

    def read(self, sha256: str) -> bytes | None:
        """Return the bytes of an image; None if it is missing or they do not match the digest."""
        return self.read_all([sha256]).get(sha256)

    def read_all(self, wanted: Iterable[str]) -> dict[str, bytes]:
        """Return the images of these digests that are stored; each row group is read once."""
        places = [(p, name) for name in set(wanted) if (p := self._find(name)) is not None]
        found: dict[str, bytes] = {}
        for place, name in sorted(places):
            data = self._group(place >> 32)[place & 0xFFFFFFFF].as_py()
            if data and hashlib.sha256(data).hexdigest() == name:
                found[name] = data
        return found

    def _group(self, group: int) -> Any:
        if group not in self._kept:
            file, number = self.places[group]
            with open_parquet(self.files[file]) as parquet:
                self._kept[group] = parquet.read_row_group(number, columns=["bytes"]).column(0)
            self.groups_read += 1
            if len(self._kept) > KEPT_GROUPS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(group)
        return self._kept[group]


def _prefix(sha256: str) -> int:
    try:
        return int(sha256[:16], 16)
    except ValueError:
        return 0


def decode(data: bytes, size: int) -> np.ndarray | None:
    """Return pixels [3, size, size] uint8; None for an image that does not decode."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.draft("RGB", (size, size))
            picture = image.convert("RGBA" if "transparency" in image.info else "RGB")
            if picture.mode == "RGBA":
                white = Image.new("RGBA", picture.size, "white")
                picture = Image.alpha_composite(white, picture).convert("RGB")
            picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None
    return np.ascontiguousarray(np.asarray(picture, np.uint8).transpose(2, 0, 1))
