"""Decisions in context: rules over runs and sections; headings and captions that follow others."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from benben.filters.decide import decide_batch
from benben.filters.signal_table import check_rules
from benben.filters.signals.structure import KINDS
from benben.pipeline import config
from benben.pipeline.config import ConfigError
from tests.filters.pages import image, measure, page, rules, text

LONG = "The owl slept in the old barn while the rain fell on the roof."


def at(path: str, words: str = LONG, **facts: Any) -> dict[str, Any]:
    return text(words, path=path, **facts)


def decided(*nodes: dict[str, Any], **judged: Any) -> dict[str, Any]:
    return dict(decide_batch(measure(page(*nodes)), rules(**judged)).to_pylist()[0])


def gone(found: dict[str, Any]) -> list[int]:
    return [entry["index"] for entry in found["dropped"]]


SCORE = {"content_score": {"min": 0.5}}
HEADINGS = {"headings": 0.1}


def test_kinds_runs_sections_and_levels_come_from_the_paths() -> None:
    nodes = [
        *(at("h1.1"), at("p.2"), at("p.3"), at("ul.4/li.1"), at("ul.4/li.2/p.1"), at("ul.5/li.1")),
        *(at("div.6/h2.1"), at("div.6/h2.1/span.2"), at("table.7/tbody.1/tr.1"), at("pre.8")),
        *(at("dl.9/dt.1"), at("dl.9/dd.2"), at("figure.10/figcaption.2"), at("article.1/h2o.3")),
    ]
    (found,) = measure(page(*nodes)).column("paragraphs").to_pylist()
    assert [one["kind"] for one in found] == [
        *("heading", "text", "text", "list_item", "list_item", "list_item"),
        *("heading", "heading", "table_row", "code", "definition", "definition"),
        *("caption", "text"),
    ]
    assert {one["kind"] for one in found} == set(KINDS)
    assert [one["level"] for one in found] == [1, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0]
    assert [one["section"] for one in found] == [0] * 6 + [1] * 8
    assert [one["run"] for one in found] == [0, 1, 1, 2, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9]


def test_an_article_break_ends_a_section() -> None:
    (found,) = measure(page(at("p.1"), {"kind": "break"}, at("p.2"))).column("paragraphs")
    assert [one["section"].as_py() for one in found] == [0, 1]


def test_a_rule_over_a_run_adds_its_counts_and_names_the_first_node() -> None:
    items = [at(f"ul.1/li.{place}", "Barn owl") for place in range(1, 5)]
    short = {"words": {"min": 6, "over": "run"}}
    assert decided(*items, text_node=short)["dropped"] == []
    found = decided(at("p.1"), *items[:2], at("p.3", "Owls"), text_node=short)
    assert [(one["index"], one["value"]) for one in found["dropped"]] == [(1, 4), (2, 4), (3, 1)]
    shared = {one["index"]: one["inherited_from"] for one in found["inherited"]}
    assert shared == {1: 1, 2: 1}  # the paragraph behind the list is a run of its own
    assert {one["reason"] for one in found["inherited"]} == {"text_node.words.min"}


def test_a_rule_over_a_section_sees_only_what_earlier_rules_kept() -> None:
    nodes = at("h2.1", "Owls"), at("p.2"), at("p.3", "Mice", content_score=0.1)
    found = decided(*nodes, text_node={**SCORE, "words": {"max": 15, "over": "section"}})
    assert gone(found) == [2]  # 1 + 14 words are left


def test_a_heading_is_kept_with_what_it_heads() -> None:
    nodes = [
        *(at("h1.1", "Owls", content_score=0.1), at("h2.2", "Barn owls", content_score=0.2)),
        *(at("p.3"), at("h2.4", "More", content_score=0.9), at("p.5", content_score=0.1)),
    ]
    found = decided(*nodes, text_node=SCORE, inherit=HEADINGS)
    assert gone(found) == [3, 4]
    assert found["inherited"] == [
        {"index": 0, "paragraph": 0, "inherited_from": 1, "kept": True,
         "reason": "text_node.content_score.min"},
        {"index": 1, "paragraph": 0, "inherited_from": 2, "kept": True,
         "reason": "text_node.content_score.min"},
        {"index": 3, "paragraph": 0, "inherited_from": 4, "kept": False,
         "reason": "text_node.content_score.min"},
    ]  # fmt: skip


@pytest.mark.parametrize(("score", "expected"), [(0.1, [0]), (0.9, [])])
def test_a_heading_that_heads_nothing_is_judged_alone(score: float, expected: list[int]) -> None:
    found = decided(at("h2.1", content_score=score), text_node=SCORE, inherit=HEADINGS)
    assert gone(found) == expected


def test_an_image_under_a_heading_keeps_it_and_a_break_ends_what_it_heads() -> None:
    judged = {"text_node": SCORE, "inherit": HEADINGS}
    heading = at("h2.1", content_score=0.1)
    assert gone(decided(heading, image(), **judged)) == []
    assert gone(decided(heading, {"kind": "break"}, at("p.2"), **judged)) == [0]
    assert gone(decided(heading, at("h2.2"), at("p.3"), **judged)) == [0]


def test_headings_of_one_page_do_not_see_the_next() -> None:
    pages = page(at("h2.1", content_score=0.1)), page(at("p.1"), image())
    judged = rules(text_node=SCORE, inherit=HEADINGS)
    found = decide_batch(measure(*pages), judged).to_pylist()
    assert gone(found[0]) == [0]
    assert gone(found[1]) == []


def test_a_heading_that_is_surely_boilerplate_is_not_kept() -> None:
    nodes = at("h1.1", "Owl site", content_score=0.05), at("p.2")
    assert gone(decided(*nodes, text_node=SCORE, inherit=HEADINGS)) == [0]


def test_captions_follow_the_images_of_their_figure() -> None:
    nodes = [
        *(image("https://e.com/logo.png", figure=1), at("figure.1/figcaption.2", figure=1)),
        *(image("https://e.com/owl.png", figure=2), image("https://e.com/icon.png", figure=2)),
        at("figure.2/figcaption.3", "A barn owl", figure=2, content_score=0.0),
    ]
    judged = {"text_node": SCORE, "image_node": {"url_words": {"max": 0}}}
    found = decided(*nodes, **judged, inherit={"captions": 0.0})
    assert gone(found) == [0, 1, 3]
    assert [(one["index"], one["inherited_from"], one["kept"], one["reason"])
            for one in found["inherited"]] == [
        (1, 0, False, "image_node.url_words.max"),
        (4, 2, True, "text_node.content_score.min"),
    ]  # fmt: skip


def test_what_was_removed_before_stays_removed() -> None:
    signals = measure(page(at("h2.1"), at("p.2")))
    before = [{"index": 0, "reason": "duplicate.line", "value": None, "bound": None,
               "paragraph": None}]  # fmt: skip
    column = decide_batch(signals, rules()).column("dropped").type
    found = decide_batch(signals, rules(inherit=HEADINGS), removed=[pa.array([before], column)])
    assert [one["reason"] for one in found.column("dropped").to_pylist()[0]] == ["duplicate.line"]


def test_only_what_can_be_added_up_is_judged_over_several_paragraphs() -> None:
    with pytest.raises(ConfigError, match="use 'link_ratio'"):
        check_rules(rules(text_node={"link_share": {"max": 0.5, "over": "run"}}))
    with pytest.raises(ConfigError, match="for rules of text_node"):
        check_rules(rules(document={"words": {"min": 5, "over": "section"}}))


def test_obelics_judges_each_paragraph_alone() -> None:
    assert not config.load("obelics", ["input=[x]"]).rules.in_context


def test_pages_without_texts_are_judged_over_runs_too() -> None:
    judged = rules(text_node={"spam_word_ratio": {"below": 0.2, "over": "run"}})
    assert decide_batch(measure(page(image())), judged)["kept"].to_pylist() == [True]
