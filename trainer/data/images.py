"""Image bytes by digest from sidecar parquet, and decoding to normalised pixels."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from typing import Any

import numpy as np
from PIL import Image

from benben.trainer.data.corpus import expand, open_parquet

MAX_PIXELS = 64_000_000  # larger ones are not decoded
KEPT_GROUPS = 4
NORMALISE = {  # of the published encoders
    "siglip": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}


class ImageStore:
    """sha256 to bytes over parquet files with columns `sha256` and `bytes`.

    The index holds 16 bytes an image: the digest's first 8, row group and row. Digests are
    verified on reading.
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

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": OrderedDict()}

    def __contains__(self, sha256: str) -> bool:
        return self._find(sha256) is not None

    def _find(self, sha256: str) -> int | None:
        key = np.uint64(_prefix(sha256))
        at = int(np.searchsorted(self.keys, key))
        return int(self.rows[at]) if at < len(self.keys) and self.keys[at] == key else None

    def read(self, sha256: str) -> bytes | None:
        """Return an image's bytes, None when it is not there or its digest is not its content's."""
        place = self._find(sha256)
        if place is None:
            return None
        data = self._group(place >> 32)[place & 0xFFFFFFFF].as_py()
        return data if data and hashlib.sha256(data).hexdigest() == sha256 else None

    def _group(self, group: int) -> Any:
        if group not in self._kept:
            file, number = self.places[group]
            with open_parquet(self.files[file]) as parquet:
                self._kept[group] = parquet.read_row_group(number, columns=["bytes"]).column(0)
            if len(self._kept) > KEPT_GROUPS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(group)
        return self._kept[group]


def _prefix(sha256: str) -> int:
    try:
        return int(sha256[:16], 16)
    except ValueError:
        return 0


def decode(data: bytes, size: int, family: str = "siglip") -> np.ndarray | None:
    """Decode and resize to [3, size, size] float32, normalised; None for what does not decode."""
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
    mean, std = (np.array(v, np.float32) for v in NORMALISE[family])
    pixels = (np.asarray(picture, np.float32) / 255 - mean) / std
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
