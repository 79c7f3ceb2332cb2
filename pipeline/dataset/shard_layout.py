"""The dataset's files: which shard a row goes to, so that a split's shards are of even size."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from benben.pipeline.dataset.splits import NAMES

DIGITS = 5  # of an id, in hexadecimal: rows are counted in 2^20 buckets, in the order of ids


def bucket(doc_id: str) -> int:
    """Return the bucket of an id: its first digits."""
    return int(doc_id[:DIGITS], 16)


class ShardLayout:
    """Shards of each split as ranges of ids; equal rows and settings give an equal layout.

    `counts`: (split, bucket, rows) for all rows. The shards of a split differ in size by no more
    than about one bucket.
    """

    def __init__(self, counts: Iterable[tuple[str, int, int]], rows_per_shard: int) -> None:
        rows: dict[str, dict[int, int]] = {}
        for split, number, count in counts:
            rows.setdefault(split, {})[number] = count
        self._parts: dict[tuple[str, int], int] = {}  # (split, bucket) -> part
        self.names: list[str] = []  # file names, by part
        for split in NAMES:
            self._add(split, sorted(rows.get(split, {}).items()), rows_per_shard)

    def _add(self, split: str, buckets: list[tuple[int, int]], rows_per_shard: int) -> None:
        """Lay out a split: a bucket goes to the shard in whose range its middle row falls."""
        total = sum(count for _, count in buckets)
        shards, first = -(-total // rows_per_shard), len(self.names)
        ends = accumulate(count for _, count in buckets)
        for (number, count), end in zip(buckets, ends, strict=True):
            middle = end - (count + 1) // 2
            self._parts[split, number] = first + middle * shards // total
        for shard in range(shards):
            self.names.append(f"data/{split}-{shard:05d}-of-{shards:05d}.parquet")

    def part(self, split: str, doc_id: str) -> int:
        """Return the part, an index of `names`, that a row goes to."""
        return self._parts[split, bucket(doc_id)]
