from __future__ import annotations

import random
from collections import Counter

from benben.pipeline.dataset.shard_layout import ShardLayout, bucket


def test_shards_of_a_split_are_even_and_in_the_order_of_ids() -> None:
    chance = random.Random(7)
    rows = [("train" if chance.random() < 0.8 else "test", chance.randbytes(16).hex())
            for _ in range(5_000)]  # fmt: skip
    counts = Counter((split, bucket(doc_id)) for split, doc_id in rows)
    made = ShardLayout(((split, number, count) for (split, number), count in counts.items()), 300)
    parts = Counter(made.part(split, doc_id) for split, doc_id in rows)
    assert sorted(parts) == list(range(len(made.names)))
    sizes = {name: parts[part] for part, name in enumerate(made.names)}
    for split in ("train", "test"):
        mine = [size for name, size in sizes.items() if name.startswith(f"data/{split}-")]
        assert len(mine) == -(-sum(mine) // 300)
        assert max(mine) - min(mine) <= 2
    for split in ("train", "test"):
        ids = sorted(doc_id for own, doc_id in rows if own == split)
        found = [made.part(split, doc_id) for doc_id in ids]
        assert found == sorted(found)
    assert not [name for name in made.names if "validation" in name]


def test_nothing_has_no_shards() -> None:
    assert ShardLayout([], 10).names == []
