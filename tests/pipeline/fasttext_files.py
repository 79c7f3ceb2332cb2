"""Model files in fastText's format (version 12), with random vectors.

The library that Benben installs applies models but trains none.
Format: the methods `save` of fastText 0.9's Args, Dictionary, Matrix and ProductQuantizer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

LOSSES = {"hs": 1, "ns": 2, "softmax": 3, "ova": 4}
CENTROIDS = 256


class Files(NamedTuple):
    """What a model file holds beside its vectors."""

    words: Sequence[str]
    labels: Sequence[str]  # the commonest first
    dim: int = 6
    loss: str = "hs"
    minn: int = 2
    maxn: int = 4
    word_ngrams: int = 1
    bucket: int = 500
    kept: int | None = None  # hashes of n-grams that are kept; None: all
    part: int | None = None  # width of the parts of quantised vectors; None: not quantised
    scaled: bool = False  # quantised vectors have lengths of their own
    seed: int = 1

    def write(self, path: Path) -> None:
        """Write the model's file."""
        chance = np.random.default_rng(self.seed)
        kept = self.bucket if self.kept is None else self.kept
        rows = len(self.words) + kept
        path.write_bytes(
            self._head() + self._dictionary(chance) + self._input(chance, rows)
            + struct.pack("<?", False) + _dense(chance, len(self.labels), self.dim)
        )  # fmt: skip

    def _head(self) -> bytes:
        return struct.pack(
            "<2i12id", 793712314, 12, self.dim, 5, 20, 1, 5, self.word_ngrams,
            LOSSES[self.loss], 3, self.bucket, self.minn, self.maxn, 100, 1e-4,
        )  # fmt: skip

    def _dictionary(self, chance: np.random.Generator) -> bytes:
        entries = [(word, 0) for word in self.words] + [(label, 1) for label in self.labels]
        kept = -1 if self.kept is None else self.kept
        data = struct.pack("<3i2q", len(entries), len(self.words), len(self.labels), 1000, kept)
        for row, (word, kind) in enumerate(entries):
            data += word.encode() + b"\0" + struct.pack("<qb", 5000 // (row + 1), kind)
        hashes = chance.permutation(self.bucket)[: max(kept, 0)]
        for row, value in enumerate(hashes.tolist()):
            data += struct.pack("<2i", value, row)
        return data

    def _input(self, chance: np.random.Generator, rows: int) -> bytes:
        if self.part is None:
            return struct.pack("<?", False) + _dense(chance, rows, self.dim)
        parts = -(-self.dim // self.part)
        codes = chance.integers(0, CENTROIDS, rows * parts, dtype=np.uint8)
        data = struct.pack("<??2qi", True, self.scaled, rows, self.dim, len(codes))
        data += codes.tobytes() + _centroids(chance, self.dim, self.part)
        if self.scaled:
            data += chance.integers(0, CENTROIDS, rows, dtype=np.uint8).tobytes()
            data += _centroids(chance, 1, 1)
        return data


def _dense(chance: np.random.Generator, rows: int, columns: int) -> bytes:
    values = chance.normal(size=(rows, columns)).astype(np.float32)
    return struct.pack("<2q", rows, columns) + values.tobytes()


def _centroids(chance: np.random.Generator, dim: int, part: int) -> bytes:
    last = dim % part or part
    values = chance.normal(size=dim * CENTROIDS).astype(np.float32)
    return struct.pack("<4i", dim, -(-dim // part), part, last) + values.tobytes()
