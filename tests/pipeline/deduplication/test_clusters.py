"""Who of a cluster stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from benben.pipeline.deduplication.clusters import (
    Cluster,
    ComparedColumns,
    DuplicateTest,
    keep_ranks,
)
from benben.pipeline.deduplication.fingerprint import graph_node
from benben.pipeline.settings.deduplicate import KeepSettings

SLOTS = 100


def traits(rows: list[tuple[int | None, bytes | None]]) -> ComparedColumns:
    """Rows of url_key and signature."""
    urls, signatures = zip(*rows, strict=True)
    columns = {
        "url_key": pa.array(urls, pa.int64()),
        "signature": pa.array(signatures, pa.binary()),
    }
    return ComparedColumns.of(pa.RecordBatch.from_pydict(columns), ["url_key"], SLOTS)


def sketch(changed: int) -> bytes:
    """A signature that differs from sketch(0) in the first `changed` slots."""
    return bytes([9] * changed + [1] * (SLOTS - changed))


def decide(rows: list[tuple[int | None, bytes | None]], leaders: int = 100) -> dict[int, object]:
    cluster = Cluster(DuplicateTest(["url_key"], 0.75, leaders))
    nodes = [bytes([number]) for number in range(len(rows))]
    dropped = cluster.add(nodes, traits(rows))
    return {
        dropped_document.row: (dropped_document.reason, dropped_document.kept[0])
        for dropped_document in dropped
    }


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
    cluster, found = Cluster(DuplicateTest(["url_key"], 0.75, 100)), {}
    for start in range(0, 60, 7):
        nodes = [bytes([number]) for number in range(start, min(start + 7, 60))]
        for dropped_document in cluster.add(nodes, traits(rows[start : start + 7]), start):
            found[dropped_document.row] = (dropped_document.reason, dropped_document.kept[0])
    assert found == whole


def test_beyond_the_largest_number_of_leaders_documents_stay() -> None:
    rows = [(number, None) for number in range(5)] + [(4, None), (0, None)]
    assert decide(rows, leaders=2) == {6: ("duplicate.url", 0)}


def order(keep: list[Any], *documents: tuple[str, int, float | None, int, int]) -> str:
    """Names of documents (name, second, quality, images, words) in keep order."""
    names, seconds, *columns = zip(*documents, strict=True)
    nodes = [
        graph_node(name.encode().hex() * 16, second)
        for name, second in zip(names, seconds, strict=True)
    ]
    facts = dict(zip(("quality", "images", "words"), map(list, columns), strict=True))
    types = {"quality": pa.float32(), "images": pa.int32(), "words": pa.int32()}
    given = {name: pa.array(values, types[name]) for name, values in facts.items()}
    batch = pa.RecordBatch.from_pydict({"node": pa.array(nodes, pa.binary()), **given})
    ranks = keep_ranks(KeepSettings(order=keep, quality_step=0.1), batch).to_pylist()
    assert keep_ranks(KeepSettings(order=keep, quality_step=0.1), batch[:0]).to_pylist() == []
    return "".join(name for _, name in sorted(zip(ranks, names, strict=True)))


def test_the_keep_order_follows_the_criteria_then_the_id() -> None:
    rich, long = ("r", 1_000, None, 3, 10), ("l", 2_000, None, 2, 90)
    assert order(["images", "words"], rich, long) == "rl"
    assert order(["words", "images"], rich, long) == "lr"
    assert order(["newest"], rich, long) == "lr"
    assert order(["oldest"], rich, long) == "rl"
    assert order([], rich, long) == "lr"


def test_qualities_that_round_to_the_same_step_leave_it_to_the_next_criterion() -> None:
    good, better = ("g", 0, 0.81, 5, 0), ("b", 0, 0.84, 1, 0)
    best, unknown = ("t", 0, 0.9, 0, 0), ("u", 0, None, 9, 9)
    assert order(["quality", "images"], good, better, best, unknown) == "tgbu"
