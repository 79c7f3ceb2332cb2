"""Who of a cluster stays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.deduplication.clusters import Cluster, Judge, Traits, keep_rank
from pipeline.deduplication.fingerprint import graph_node

SLOTS = 100


def traits(rows: list[tuple[int | None, bytes | None]]) -> Traits:
    """Rows of url_key and signature."""
    urls, signatures = zip(*rows, strict=True)
    columns = {
        "url_key": pa.array(urls, pa.int64()),
        "signature": pa.array(signatures, pa.binary()),
    }
    return Traits.of(pa.RecordBatch.from_pydict(columns), ["url_key"], SLOTS)


def sketch(changed: int) -> bytes:
    """A signature that differs from sketch(0) in the first `changed` slots."""
    return bytes([9] * changed + [1] * (SLOTS - changed))


def decide(rows: list[tuple[int | None, bytes | None]], leaders: int = 100) -> dict[int, object]:
    cluster = Cluster(Judge(["url_key"], 0.75, leaders))
    nodes = [bytes([number]) for number in range(len(rows))]
    dropped = cluster.add(nodes, traits(rows))
    return {gone.row: (gone.reason, gone.kept[0]) for gone in dropped}


def test_a_chain_is_cut_where_documents_are_no_duplicates_of_the_kept_one() -> None:
    chain = [(None, sketch(20 * number)) for number in range(4)]
    near = "duplicate.minhash"
    assert decide(chain) == {1: (near, 0), 3: (near, 2)}


def test_an_exact_key_goes_before_similarity() -> None:
    rows = [(5, sketch(0)), (5, sketch(0)), (None, sketch(1)), (5, None), (6, None)]
    url, near = ("duplicate.url", 0), ("duplicate.minhash", 0)
    assert decide(rows) == {1: url, 2: near, 3: url}


def test_documents_without_key_and_text_are_never_duplicates() -> None:
    assert decide([(None, None), (None, None)]) == {}


def test_batches_do_not_matter() -> None:
    draw = np.random.default_rng(3)
    rows = [(int(draw.integers(40)), sketch(int(draw.integers(100)))) for _ in range(60)]
    whole = decide(rows)
    cluster, found = Cluster(Judge(["url_key"], 0.75, 100)), {}
    for start in range(0, 60, 7):
        nodes = [bytes([number]) for number in range(start, min(start + 7, 60))]
        for gone in cluster.add(nodes, traits(rows[start : start + 7]), start):
            found[gone.row] = (gone.reason, gone.kept[0])
    assert found == whole


def test_beyond_the_largest_number_of_leaders_documents_stay() -> None:
    rows = [(number, None) for number in range(5)] + [(4, None), (0, None)]
    assert decide(rows, leaders=2) == {6: ("duplicate.url", 0)}


def test_the_keep_order_follows_the_criteria_then_the_id() -> None:
    old, new = graph_node("00" * 16, 1_000), graph_node("ff" * 16, 2_000)
    assert keep_rank(["images", "words"], 3, 10, new) < keep_rank(["images", "words"], 2, 90, old)
    assert keep_rank(["newest"], 0, 0, new) < keep_rank(["newest"], 0, 0, old)
    assert keep_rank(["oldest"], 0, 0, old) < keep_rank(["oldest"], 0, 0, new)
    assert keep_rank(["images"], 1, 0, old) < keep_rank(["images"], 1, 0, new)
