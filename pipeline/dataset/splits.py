"""Which split a page's host belongs to, so that no site and no near-duplicate is in two splits.

A host's split follows from its name alone, in every run. A held-out host whose pages are
near-duplicates of pages of another split moves to train, and so do the held-out hosts linked to it.
So nothing in validation or test is like anything in another split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benben.pipeline import storage
from benben.pipeline.deduplication.fingerprint import key
from benben.pipeline.settings.ship import SplitSettings

TRAIN, VALIDATION, TEST = "train", "validation", "test"
NAMES = (TRAIN, VALIDATION, TEST)
# Slots of a signature that make one key; texts are compared when they share a key. With the
# default's 112 slots this finds 84% of the pairs of similarity 0.5 and 98% at 0.6; deduplication's
# own keys find what is more similar.
SLOTS = 4


def host_key(host: str) -> int:
    """Return the 64-bit hash of a host, as in the table `fingerprints`."""
    return key("host", host)


def by_hash(host_keys: npt.NDArray[np.int64], settings: SplitSettings) -> npt.NDArray[np.int8]:
    """Return the split of each host by its hash alone, as an index of NAMES."""
    position = host_keys.view(np.uint64) / 2.0**64  # 0..1, uniform
    held_out = np.where(position < settings.validation, 1, 2)
    return np.where(position < settings.validation + settings.test, held_out, 0).astype(np.int8)


def near_text_keys(signatures: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the keys that near texts are likely to share: [rows, slots] -> [rows, keys].

    Each key is SLOTS consecutive slots of a compact signature and their position in it.
    """
    keys = signatures.shape[1] // SLOTS
    values = np.ascontiguousarray(signatures[:, : keys * SLOTS]).view("<u4").astype(np.int64)
    return values | np.arange(keys, dtype=np.int64) << 32


def resolve(held_out: Mapping[int, str], near: Iterable[tuple[int, int]]) -> dict[int, str]:
    """Return the split of every held-out host, given pairs of hosts with near pages.

    `held_out`: host -> split by hash; a pair may name a host that is not held out. Hosts that are
    linked by any number of pairs stay held out only if all of them hash to the same split.
    """
    parents = {host: host for host in held_out}
    conflicting: set[int] = set()

    def root(host: int) -> int:
        while parents[host] != host:
            parents[host] = host = parents[parents[host]]
        return host

    for pair in near:
        one, other = pair
        if one in held_out and other in held_out:
            parents[root(one)] = root(other)
        if held_out.get(one) != held_out.get(other):
            conflicting.update(host for host in pair if host in held_out)
    to_train = {root(host) for host in conflicting}
    return {host: TRAIN if root(host) in to_train else split for host, split in held_out.items()}


@dataclass(frozen=True)
class Splits:
    """The table `splits`: the split of each held-out host; all others are in train."""

    held_out: Mapping[int, str]

    @classmethod
    def read(cls, paths: Iterable[str]) -> Splits:
        """Read the table's files."""
        tables = [storage.read_parquet(path, ["host_key", "split"]).to_pydict() for path in paths]
        pairs = (zip(table["host_key"], table["split"], strict=True) for table in tables)
        return cls({host: split for rows in pairs for host, split in rows if split != TRAIN})

    def of(self, host: str) -> str:
        """Return the split of a host's documents."""
        return self.held_out.get(host_key(host), TRAIN)
