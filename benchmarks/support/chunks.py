"""Chunks of files as a store that keeps each chunk once cuts them (Xet, of the Hugging Face Hub).

A chunk ends where the last 64 bytes hash to a number with 16 zero bits at its front: after 64 KiB
on average, at least 8 and at most 128 KiB (gearhash, Xia et al. 2016; the limits are Xet's).
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np

from benben.common.hashing import mix64

SMALLEST, LARGEST = 8 << 10, 128 << 10
MASK = np.uint64(0xFFFF << 48)
GEAR = mix64(np.arange(256, dtype=np.uint64))


@numba.njit(cache=False)  # type: ignore[untyped-decorator, unused-ignore]
def ends(data: np.ndarray, gear: np.ndarray, mask: np.uint64) -> list[int]:
    """Where the chunks of some bytes end."""
    found = [0]
    start = 0
    while start < len(data):
        end = min(start + LARGEST, len(data))
        value = np.uint64(0)
        place = start + SMALLEST - 64
        while place < end:
            value = (value << np.uint64(1)) + gear[data[place]]
            place += 1
            if place - start >= SMALLEST and value & mask == 0:
                break
        start = min(place, end) if place > start else end
        found.append(start)
    return found


def chunks(path: Path) -> dict[bytes, int]:
    """Digest of each distinct chunk of a file -> its bytes."""
    data = path.read_bytes()
    places = ends(np.frombuffer(data, np.uint8), GEAR, MASK)
    found: dict[bytes, int] = {}
    for start, end in pairwise(places):
        found[hashlib.blake2b(data[start:end], digest_size=16).digest()] = end - start
    return found


def new_bytes(before: Path, after: Path) -> tuple[int, int]:
    """Bytes of the chunks of the parquet files in `after` that are not in `before`, and of all."""
    known = {digest for path in before.rglob("*.parquet") for digest in chunks(path)}
    found: dict[bytes, int] = {}
    for path in after.rglob("*.parquet"):
        found |= chunks(path)
    return sum(size for digest, size in found.items() if digest not in known), sum(found.values())
