"""Images that look alike: perceptual hashes within a Hamming distance of one another.

A hash is cut into blocks of bits. Each choice of (blocks - radius) blocks makes one key. Two hashes
that differ in at most `radius` bits differ in at most `radius` blocks, so they share at least one
key (Manku, Jain, Das Sarma, "Detecting Near-Duplicates for Web Crawling", WWW 2007).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benben.common.hashing import mix64
from benben.pipeline.settings.deduplicate import SimilarImageSettings

Hashes = npt.NDArray[np.uint64]
BITS = 64
HEX_DIGITS = 16  # of a hash
PAIRS_AT_ONCE = 1 << 22  # pairs compared in one step: limits memory to about 40 MB


def parse(column: pa.Array, min_bits: int = 0) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """Parse hashes from a column of hex digits; also return which rows have one (others are 0).

    A hash with fewer than `min_bits` ones or zeros comes from an image without content and counts
    as missing.
    """
    texts = column.to_pylist()
    values = [value if value and len(value) == HEX_DIGITS else None for value in texts]
    hashes = np.array([int(value or "0", 16) for value in values], np.uint64)
    ones = np.bitwise_count(hashes)
    valid = np.array([value is not None for value in values], np.bool_)
    valid &= (ones >= min_bits) & (ones <= BITS - min_bits)
    return np.where(valid, hashes, np.uint64(0)), valid


def block_keys(hashes: Hashes, settings: SimilarImageSettings) -> npt.NDArray[np.int64]:
    """Compute the keys of each hash, [hashes, choices of blocks].

    Hashes within the radius share at least one key.
    """
    ends = np.linspace(0, BITS, settings.blocks + 1).astype(int)
    masks = [((1 << int(high)) - (1 << int(low))) for low, high in pairwise(ends)]
    choices = combinations(masks, settings.blocks - settings.radius)
    keys = [
        mix64((hashes & np.uint64(sum(chosen))) + np.uint64(number))
        for number, chosen in enumerate(choices)
    ]
    return np.stack(keys, axis=1).view(np.int64)


def near_pairs(hashes: Hashes, radius: int, max_compared: int) -> Iterator[tuple[Hashes, Hashes]]:
    """Find pairs of distinct sorted hashes within the radius; yield (larger, smaller) in batches.

    Only the first `max_compared` hashes are compared with all others, which limits the work for a
    key that very many hashes share.
    """
    step = max(1, PAIRS_AT_ONCE // max(1, len(hashes)))
    for start in range(0, min(max_compared, len(hashes)), step):
        some = hashes[start : start + step]
        near = np.bitwise_count(some[:, None] ^ hashes[None, :]) <= radius
        one, other = np.nonzero(near)
        later = other > one + start
        yield hashes[other[later]], some[one[later]]


def leaders(hashes: Hashes, radius: int) -> Hashes:
    """Return the leader of each hash of a component: itself, or a hash within the radius.

    Hashes are visited in order. Each joins the first leader within the radius, or else becomes a
    leader. So a chain of small differences does not join images that look different.
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
    """Return the index of the item nearest to each hash, -1 if none is within the radius.

    Of equally near items the first is taken.
    """
    found = np.full(len(hashes), -1, np.int64)
    if not len(items):
        return found
    step = max(1, PAIRS_AT_ONCE // len(items))
    for start in range(0, len(hashes), step):
        distances = np.bitwise_count(hashes[start : start + step, None] ^ items[None, :])
        best = distances.argmin(axis=1)
        near = distances[np.arange(len(best)), best] <= radius
        found[start : start + step] = np.where(near, best, -1)
    return found


def as_nodes(hashes: Iterable[int]) -> list[bytes]:
    """Convert hashes to graph nodes: 8 bytes that sort as the hashes do."""
    return [int(value).to_bytes(8, "big") for value in hashes]


def from_nodes(nodes: Iterable[bytes]) -> Hashes:
    """Convert graph nodes back to hashes."""
    return np.frombuffer(b"".join(nodes), ">u8").astype(np.uint64)
