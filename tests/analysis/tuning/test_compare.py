"""Comparison of two configs: what one keeps and the other drops, by rule, with samples."""

from __future__ import annotations

from pathlib import Path

from benben.analysis.tuning.compare import as_text, between, compare
from tests.analysis import run_folder
from tests.filters.pages import image, measure, page, rules, text

LONG = "The owl slept in the old barn while the rain fell on the roof."


def test_each_side_is_counted_with_the_others_reason() -> None:
    signals = measure(
        page(text(LONG), text("no"), image()),  # both keep; B drops a node
        page(text(LONG)),  # A alone: B wants an image
        page(text("too short now"), image()),  # B alone: A wants words
        page(text("no")),  # neither
    )
    a = rules(document={"words": {"min": 4}})
    b = rules(text_node={"words": {"min": 2}}, document={"images": {"min": 1}, "words": {"min": 1}})
    found = compare([signals.slice(0, 2), signals.slice(2)], a, b)
    assert (found.both, found.neither) == (1, 1)
    assert dict(found.only_a.reasons) == {"document.images.min": 1}
    assert dict(found.only_b.reasons) == {"document.words.min": 1}
    assert [doc_id for _, doc_id in found.only_b.samples["document.words.min"]] == ["2"]
    assert dict(found.nodes_b.reasons) == {"text_node.words.min": 1}
    assert found.nodes_a.number == 0
    assert as_text(found, "a", "b").startswith("both keep 1, neither 1")
    printed = as_text(found, "a.yaml", "b.yaml")
    assert "a.yaml keeps and b.yaml drops: 1" in printed
    assert "such as 2" in printed
    assert "nodes that b.yaml drops and a.yaml keeps, in documents that both keep: 1" in printed
    assert "such as 0:1" in printed


def test_two_shipped_configs_are_compared_on_a_run(tmp_path: Path) -> None:
    run = run_folder.make(tmp_path)
    printed = between(run, "default", "strict")
    assert "default keeps and strict drops" in printed
    assert "strict keeps and default drops" in printed
