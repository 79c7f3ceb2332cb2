"""Images that look alike: perceptual hashes within a Hamming distance of one another.

Hashes are cut into blocks, and a key is made of every choice of all blocks but `radius`: two
hashes that differ in at most `radius` bits share a key, since no more blocks than that can differ
(Manku, Jain, Das Sarma, "Detecting Near-Duplicates for Web Crawling", WWW 2007).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benben.common.hashing import mix64
from benben.pipeline.settings.deduplicate import LookSettings

Hashes = npt.NDArray[np.uint64]
BITS = 64
WIDTH = 16  # hex digits of a hash
LIKENESSES = 1 << 22  # pairs that are compared at a time: bounds memory at some 40 MB


def parse(column: pa.Array, min_bits: int = 0) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """Hashes of a column of hex digits, and which rows have one; others are 0.

    A hash with fewer than `min_bits` ones or zeros is of a picture without content: it has none.
    """
    values = [value if value and len(value) == WIDTH else None for value in column.to_pylist()]
    hashes = np.array([int(value or "0", WIDTH) for value in values], np.uint64)
    ones = np.bitwise_count(hashes)
    there = np.array([value is not None for value in values], np.bool_)
    there &= (ones >= min_bits) & (ones <= BITS - min_bits)
    return np.where(there, hashes, np.uint64(0)), there


def block_keys(hashes: Hashes, settings: LookSettings) -> npt.NDArray[np.int64]:
    """Keys that hashes within the radius share at least one of: [hashes, choices of blocks]."""
    ends = np.linspace(0, BITS, settings.blocks + 1).astype(int)
    masks = [((1 << int(high)) - (1 << int(low))) for low, high in pairwise(ends)]
    choices = combinations(masks, settings.blocks - settings.radius)
    keys = [
        mix64((hashes & np.uint64(sum(chosen))) + np.uint64(number))
        for number, chosen in enumerate(choices)
    ]
    return np.stack(keys, axis=1).view(np.int64)


def near_pairs(hashes: Hashes, radius: int, most: int) -> Iterator[tuple[Hashes, Hashes]]:
    """Pairs of distinct sorted hashes within the radius: (larger, smaller), a few at a time.

    Only the first `most` are compared with all others, which bounds the work of a huge bucket.
    """
    step = max(1, LIKENESSES // max(1, len(hashes)))
    for start in range(0, min(most, len(hashes)), step):
        some = hashes[start : start + step]
        near = np.bitwise_count(some[:, None] ^ hashes[None, :]) <= radius
        one, other = np.nonzero(near)
        later = other > one + start
        yield hashes[other[later]], some[one[later]]


def leaders(hashes: Hashes, radius: int) -> Hashes:
    """For each hash of a component the one that stands for it: itself, or one within the radius.

    Hashes are visited in order; each goes to the first leader near enough, else leads itself. So
    a chain of small differences does not make unlike images one.
    """
    found = hashes.copy()
    rest = np.arange(len(hashes))
    while len(rest):
        leader = hashes[rest[0]]
        near = np.bitwise_count(hashes[rest] ^ leader) <= radius
        found[rest[near]] = leader
        rest = rest[~near]
    return found


def nearest(hashes: Hashes, items: Hashes, radius: int) -> npt.NDArray[np.int64]:
    """Place of the item nearest to each hash (the first of equals), -1 where none is in radius."""
    found = np.full(len(hashes), -1, np.int64)
    if not len(items):
        return found
    step = max(1, LIKENESSES // len(items))
    for start in range(0, len(hashes), step):
        distances = np.bitwise_count(hashes[start : start + step, None] ^ items[None, :])
        best = distances.argmin(axis=1)
        near = distances[np.arange(len(best)), best] <= radius
        found[start : start + step] = np.where(near, best, -1)
    return found


def as_nodes(hashes: Iterable[int]) -> list[bytes]:
    """Names of hashes in a graph: 8 bytes that sort as the hashes do."""
    return [int(value).to_bytes(8, "big") for value in hashes]


def from_nodes(nodes: Iterable[bytes]) -> Hashes:
    """The hashes that graph nodes name."""
    return np.frombuffer(b"".join(nodes), ">u8").astype(np.uint64)
