"""The dataset's files: which shard a row lies in, so that the shards of a split are even."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from benben.pipeline.dataset.splits import NAMES

DIGITS = 5  # of an id, that rows are counted by: 2^20 buckets, in the order of ids


def bucket(doc_id: str) -> int:
    """Leading digits of an id."""
    return int(doc_id[:DIGITS], 16)


class Layout:
    """Shards of each split over ranges of ids; equal rows and settings give an equal layout.

    `counts`: (split, bucket of ids, rows) of all rows. Every shard of a split has as many rows as
    the others, to the size of a bucket.
    """

    def __init__(self, counts: Iterable[tuple[str, int, int]], rows_per_shard: int) -> None:
        rows: dict[str, dict[int, int]] = {}
        for split, number, count in counts:
            rows.setdefault(split, {})[number] = count
        self._place: dict[tuple[str, int], int] = {}
        self.names: list[str] = []  # of the files, by part
        for split in NAMES:
            self._add(split, sorted(rows.get(split, {}).items()), rows_per_shard)

    def _add(self, split: str, buckets: list[tuple[int, int]], rows_per_shard: int) -> None:
        total = sum(count for _, count in buckets)
        shards, first = -(-total // rows_per_shard), len(self.names)
        ends = accumulate(count for _, count in buckets)
        for (number, count), end in zip(buckets, ends, strict=True):
            middle = end - (count + 1) // 2
            self._place[split, number] = first + middle * shards // total
        for shard in range(shards):
            self.names.append(f"data/{split}-{shard:05d}-of-{shards:05d}.parquet")

    def part(self, split: str, doc_id: str) -> int:
        """Part of a row."""
        return self._place[split, bucket(doc_id)]
