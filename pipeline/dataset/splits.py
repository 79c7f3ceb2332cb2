"""Which split a page's host belongs to, so that no site and no near-duplicate is in two.

A host's split follows from its name alone, in every run. A held-out host whose pages are near
pages of another split goes to train, and so does what is held out with it: evaluation stays clean.
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
# Slots of a signature that have to agree for two texts to meet. With the default's 112 slots, 84%
# of pairs of similarity 0.5 meet, 98% at 0.6: deduplication's own bands find what is nearer.
SLOTS = 4


def host_key(host: str) -> int:
    """64-bit name of a host, as in the table `fingerprints`."""
    return key("host", host)


def by_hash(host_keys: npt.NDArray[np.int64], settings: SplitSettings) -> npt.NDArray[np.int8]:
    """Split of each host by its key alone, as an index of NAMES."""
    place = host_keys.view(np.uint64) / 2.0**64
    held = np.where(place < settings.validation, 1, 2)
    return np.where(place < settings.validation + settings.test, held, 0).astype(np.int8)


def meeting_keys(signatures: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Keys by which near texts meet: runs of SLOTS slots of compact signatures [rows, slots]."""
    runs = signatures.shape[1] // SLOTS
    values = np.ascontiguousarray(signatures[:, : runs * SLOTS]).view("<u4").astype(np.int64)
    return values | np.arange(runs, dtype=np.int64) << 32


def settle(held: Mapping[int, str], near: Iterable[tuple[int, int]]) -> dict[int, str]:
    """The split of every held-out host, given pairs of hosts with pages near each other.

    `held`: host -> split by hash; a host that is not held out may be in a pair. Hosts that are
    linked, however far, stay held out only when all of them hash to one split.
    """
    parents = {host: host for host in held}
    mixed: set[int] = set()

    def root(host: int) -> int:
        while parents[host] != host:
            parents[host] = host = parents[parents[host]]
        return host

    for one, other in near:
        if one in held and other in held:
            parents[root(one)] = root(other)
        mixed |= {
            host for host in (one, other) if host in held and held.get(one) != held.get(other)
        }
    spoilt = {root(host) for host in mixed}
    return {host: TRAIN if root(host) in spoilt else split for host, split in held.items()}


@dataclass(frozen=True)
class Splits:
    """The table `splits`: the split of each held-out host; all others are in train."""

    held: Mapping[int, str]

    @classmethod
    def read(cls, paths: Iterable[str]) -> Splits:
        """Read the table's files."""
        tables = [storage.read_parquet(path, ["host_key", "split"]).to_pydict() for path in paths]
        pairs = (zip(table["host_key"], table["split"], strict=True) for table in tables)
        return cls({host: split for rows in pairs for host, split in rows if split != TRAIN})

    def of(self, host: str) -> str:
        """Split of a host's documents."""
        return self.held.get(host_key(host), TRAIN)
