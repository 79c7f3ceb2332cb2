"""Lines and images that many documents share."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from benben.pipeline import config
from benben.pipeline.deduplication import repeated_nodes
from benben.pipeline.deduplication.fingerprint import FINGERPRINTS
from benben.pipeline.deduplication.repeated_nodes import COUNTED, ImageSetRule, RepeatedKeys

SETTINGS = config.load("default", ["input=[x]"]).deduplicate
RULES = repeated_nodes.node_rules(SETTINGS)


def batch(*rows: tuple[int, list[int], list[int]]) -> pa.RecordBatch:
    """Documents as (host, text keys, image keys); nodes are numbered texts first."""
    found: list[dict[str, Any]] = []
    for host, texts, images in rows:
        keys = [{"index": index, "key": key} for index, key in enumerate(texts + images)]
        row = dict.fromkeys(FINGERPRINTS.names)
        row |= {"host_key": host, "text_nodes": keys[: len(texts)]}
        found.append(row | {"image_nodes": keys[len(texts) :]})
    return pa.RecordBatch.from_pylist(found, FINGERPRINTS)


def repeated(*parts: pa.RecordBatch) -> RepeatedKeys:
    """What the Spark job does: add the parts' counts up and keep what reaches the bound."""
    counted = [
        repeated_nodes.count_documents([part], number, RULES) for number, part in enumerate(parts)
    ]
    table = pa.concat_tables([COUNTED.empty_table(), *counted])
    sums = table.group_by("key").aggregate([("count", "sum"), ("bound", "min")])
    rows = [row for row in sums.to_pylist() if row["count_sum"] >= row["bound_min"]]
    found = {"key": [row["key"] for row in rows], "total": [row["count_sum"] for row in rows]}
    return RepeatedKeys.of(pa.table(found, repeated_nodes.REPEATED))


def reasons(part: pa.RecordBatch, found: RepeatedKeys) -> list[dict[int, str]]:
    dropped = repeated_nodes.dropped_nodes(part, found, RULES)
    return [{node["index"]: node["reason"] for node in nodes} for nodes in dropped.to_pylist()]


def test_a_line_of_three_documents_of_a_host_goes_from_that_host_only() -> None:
    one, two = batch((1, [7], []), (1, [7, 7], [])), batch((1, [7, 8], []), (2, [7], []))
    found = repeated(one, two)
    line = "duplicate.host_line"
    assert reasons(one, found) == [{0: line}, {0: line, 1: line}]
    assert reasons(two, found) == [{0: line}, {}]


def test_a_line_repeated_inside_one_document_counts_once() -> None:
    part = batch((1, [7, 7, 7, 7], []), (1, [7], []))
    assert reasons(part, repeated(part)) == [{}, {}]


def test_an_image_of_ten_documents_stays_one_of_eleven_goes() -> None:
    rows = [(number, [], [5, 6] if number else [5]) for number in range(11)]
    part = batch(*rows)
    found = reasons(part, repeated(part))
    assert found == [{0: "duplicate.image_url"}] * 11


def test_the_ledger_says_how_many_documents_and_how_many_may() -> None:
    part = batch(*[(1, [7], [])] * 4)
    node = repeated_nodes.dropped_nodes(part, repeated(part), RULES).to_pylist()[0][0]
    assert (node["value"], node["bound"]) == (4, 2)


def test_image_sets_do_not_depend_on_order_or_repeats() -> None:
    part = batch((1, [], [3, 4]), (2, [], [4, 3, 3]), (3, [], [3]), (4, [], [3, 5]))
    nothing = repeated_nodes.dropped_nodes(part, repeated(part), RULES)
    keys, enough = repeated_nodes.image_sets(
        part, nothing, ImageSetRule("set", "image_nodes", 2, 0)
    )
    assert keys[0] == keys[1]
    assert len(set(keys.tolist())) == 3
    assert enough.tolist() == [True, True, False, True]
