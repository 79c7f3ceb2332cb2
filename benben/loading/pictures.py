"""Finds pictures by the SHA-256 of their bytes in a dataset's own files, and decodes them."""

from __future__ import annotations

import io
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from benben.loading.files import open_parquet

MAX_PIXELS = 64_000_000  # larger pictures are not decoded
HALF = 16  # hexadecimal digits of a 64-bit number; the index keeps two of a SHA-256
KEY = np.dtype([("high", np.uint64), ("low", np.uint64)])
DIGEST = re.compile("[0-9a-f]{64}")
OPEN_FILES = 32
ORIENTATION = 0x0112  # EXIF's tag
Place = tuple[int, int, int]  # file, row group, row in it


class PictureStore:
    """The bytes of pictures, read by row group; holds row groups of at most `cache_bytes`.

    A file is indexed when it is first needed, from its column `sha256` alone, which takes 24 bytes
    of memory for each picture: half of the digest, and where it is. `paths`: parquet files with
    columns `sha256` and `bytes`.
    """

    def __init__(self, paths: list[str], cache_bytes: int) -> None:
        self.paths, self.cache_bytes = paths, cache_bytes
        self.groups_read = 0
        self._forget()

    def _forget(self) -> None:
        self._indexes: list[tuple[np.ndarray, np.ndarray]] = []  # two halves; row group, row
        self._files: OrderedDict[int, pq.ParquetFile] = OrderedDict()
        self._footers: dict[int, pq.FileMetaData] = {}
        self._cached: OrderedDict[tuple[int, int], pa.Array] = OrderedDict()
        self._cached_bytes = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"paths": self.paths, "cache_bytes": self.cache_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def read(self, wanted: Iterable[str]) -> dict[str, bytes]:
        """Return those of the wanted pictures that are stored; reads each row group once."""
        found: dict[str, bytes] = {}
        for (file, group, row), sha256 in sorted(self._find(set(wanted))):
            data = self._group(file, group)[row].as_py()
            if data is not None:
                found[sha256] = data
        return found

    def _find(self, wanted: set[str]) -> Iterator[tuple[Place, str]]:
        names = sorted(name for name in wanted if _is_digest(name))
        number = 0
        while names and number < len(self.paths):
            if number == len(self._indexes):
                self._indexes.append(self._index(number))
            keys, places = self._indexes[number]
            wanted_keys = _keys(names)
            at = np.searchsorted(keys["high"], wanted_keys["high"])
            inside = np.minimum(at, max(0, len(keys) - 1))
            hits = keys[inside] == wanted_keys if len(keys) else np.zeros(len(names), bool)
            for place, name in zip(places[inside[hits]], np.array(names)[hits], strict=True):
                yield (number, int(place[0]), int(place[1])), str(name)
            names = [name for name, hit in zip(names, hits, strict=True) if not hit]
            number += 1

    def _index(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the sorted keys of a file, and for each its row group and the row in it."""
        file = self._open(number)
        lengths = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        names = file.read(["sha256"], use_threads=False)["sha256"].to_pylist()
        keys = _keys([name or "0" * 64 for name in names])
        rows = np.concatenate([np.arange(n) for n in lengths] or [np.zeros(0, np.int64)])
        places = np.stack([np.repeat(np.arange(len(lengths)), lengths), rows], axis=1)
        order = np.argsort(keys["high"], kind="stable")
        return keys[order], places[order].astype(np.int32)

    def _open(self, number: int) -> pq.ParquetFile:
        if number not in self._files:
            opened = open_parquet(self.paths[number], self._footers.get(number))
            self._files[number], self._footers[number] = opened, opened.metadata
            if len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)[1].close(force=True)
        self._files.move_to_end(number)
        return self._files[number]

    def _group(self, file: int, group: int) -> pa.Array:
        key = (file, group)
        if key not in self._cached:
            table = self._open(file).read_row_group(group, ["bytes"], use_threads=False)
            column = table.column(0)
            found = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
            self.groups_read += 1
            self._cached[key] = found
            self._cached_bytes += found.nbytes
            while self._cached_bytes > self.cache_bytes and len(self._cached) > 1:
                self._cached_bytes -= self._cached.popitem(last=False)[1].nbytes
        self._cached.move_to_end(key)
        return self._cached[key]


def _is_digest(name: str) -> bool:
    return DIGEST.fullmatch(name) is not None


def _keys(digests: list[str]) -> np.ndarray:
    """Return the first 128 bits of digests as two numbers each."""
    pairs = [(int(name[:HALF], 16), int(name[HALF : 2 * HALF], 16)) for name in digests]
    return np.array(pairs, KEY)


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image | None, str | None]:
    """Return a picture as RGB, upright and on white, or None and the reason.

    Reasons: `too_many_pixels`, `broken`.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > max_pixels:
                return None, "too_many_pixels"
            return _shown(image), None
    except Exception:  # whatever a decoder raises on hostile bytes
        return None, "broken"


def _shown(image: Image.Image) -> Image.Image:
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image.copy() if image.readonly else image
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return image.convert("RGB")
