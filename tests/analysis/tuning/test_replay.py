"""What a replay keeps is what `decide` keeps, to the document and the node, after any moves."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benben.analysis.tuning import replay
from benben.analysis.tuning.labels import with_bound
from benben.analysis.tuning.replay import Replay, Stored
from benben.filters.decide import decide_batch
from benben.pipeline.schema import VERDICTS
from benben.pipeline.settings.signals import UNGROUPED, Group, Rule, RuleSettings
from tests.filters.pages import image, measure, page, rules, text

WORDS = (
    *("the", "owl", "slept", "in", "an", "old", "barn", "while", "rain", "fell", "on", "its"),
    *("roof", "1", "2", "3", "!!", "facebook", "share"),
)
RULES = rules(
    inherit={"headings": 0.1, "captions": 0.3},
    text_node={
        "content_score": {
            "min": 0.3,
            "by": {
                "page_type": {"forum": {"min": 0.6}},
                "kind": {"list_item": {"min": 0.1}, "heading": {"max": 0.9}},
            },
        },
        "words": {"max": 40, "languages": {"zh": {"max": 80}}},
        "word_repetition": {"max": 0.5, "over": "section", "when": {"words": {"min": 8}}},
        "special_ratio": {"max": 0.5, "over": "run", "when": {"kind": {"one_of": ["text"]}}},
        "spam_word_ratio": {"below": 0.4, "over": "section"},
    },
    image_node={
        "content_score": {"min": 0.2, "when": {"in_figure": {"max": 0}}},
        "duplicate": {"max": 0},
        "url_format": {"one_of": ["jpeg", "png"]},
        "rendered_width": {"min": 20},
        "width": {"min": 150, "by": {"format": {"png": {"min": 250}}}},
    },
    document={
        "images": {"min": 1, "max": 4},
        "words": {"min": 30, "max": 400},
        "special_ratio": {"max": 0.3},
        "stopword_ratio": {"min": 0.1},
        "nsfw_images": {"max": 0},
    },
)

# Those of rules, and some that come with a move.
GROUPS: dict[str, list[Group]] = {
    "text_node": [("language", "en"), ("kind", "list_item"), ("kind", "text"),
                  ("page_type", "forum"), ("page_type", "product")],
    "image_node": [("language", "en"), ("format", "png"), ("page_type", "article")],
    "document": [("language", "en"), ("page_type", "forum")],
}  # fmt: skip


def pages(number: int = 60) -> pa.RecordBatch:
    draw = random.Random(7)
    made = []
    for _ in range(number):
        nodes: list[dict[str, Any]] = []
        for _ in range(draw.randint(1, 9)):
            score = round(draw.random(), 2)
            if draw.random() < 0.3:
                url = f"https://e.com/{draw.randint(0, 9)}.{draw.choice(['jpg', 'png', 'gif'])}"
                nodes.append(image(url, content_score=score, width=draw.choice([10, 300, None])))
            else:
                tag = draw.choice(["h2", "p", "p", "li"])
                body = " ".join(draw.choices(WORDS, k=draw.randint(1, 30)))
                path = {"h2": "h2.1", "p": "p.1", "li": "ul.1/li.1"}[tag]
                nodes.append(text(body, tag=tag, path=path, content_score=score))
        made.append(page(*nodes, page_type=draw.choice(["forum", "article", None])))
    return measure(*made)


@pytest.fixture(scope="module")
def signals() -> pa.RecordBatch:
    return pages()


def check(made: Replay, signals: pa.RecordBatch) -> None:
    verdicts = decided(made, signals)
    assert made.kept["document"].tolist() == verdicts["kept"].to_pylist()
    for scope, column in (("text_node", "paragraphs"), ("image_node", "images")):
        table = made.tables[scope]  # type: ignore[index]
        parts = signals[column].flatten()
        number = (
            parts.field("paragraph").to_pylist() if scope == "text_node" else [None] * len(parts)
        )
        gone = {
            (row, one["index"], one["paragraph"])
            for row, entries in enumerate(verdicts["dropped"].to_pylist())
            for one in entries
        }
        places = zip(table.document.tolist(), table.index.tolist(), number, strict=True)
        expected = [
            (row, index, part) not in gone and (row, index, None) not in gone
            for row, index, part in places
        ]
        assert made.kept[scope].tolist() == expected  # type: ignore[index]


def decided(made: Replay, signals: pa.RecordBatch) -> pa.RecordBatch:
    """What the stages decide: before the fetch and, with facts about images, once more."""
    first = decide_batch(signals, made.rules, removed=list(made.stored.removed))
    if made.stored.facts is None:
        return first
    gone = [first["dropped"], *made.stored.repeated]
    return decide_batch(signals, made.rules, made.stored.facts, gone)


def moved(judged: RuleSettings, scope: str, name: str, end: Any, bound: float | None,
          group: Group = UNGROUPED) -> RuleSettings:  # fmt: skip
    some = getattr(judged, scope)
    return judged.model_copy(
        update={scope: {**some, name: with_bound(some[name], end, bound, group)}}
    )


def facts_of(signals: pa.RecordBatch) -> pa.ListArray:
    """What a fetch found: some images are gone, others small, or not safe."""
    draw = random.Random(5)
    rows = [
        [
            {"reason": "http.404"} if draw.random() < 0.2 else
            {"width": draw.choice([90, 200, 400]), "height": 300, "format": "png",
             "nsfw": round(draw.random(), 2)}
            for _ in images
        ]
        for images in signals["images"].to_pylist()
    ]  # fmt: skip
    entry = pa.struct([("reason", pa.string()), ("width", pa.int32()), ("height", pa.int32()),
                       ("format", pa.string()), ("nsfw", pa.float32())])  # fmt: skip
    return pa.array(rows, pa.list_(entry))


@pytest.mark.parametrize("fetched", [False, True])
def test_moves_of_any_rule_are_decided_as_the_stages_do(
    signals: pa.RecordBatch, fetched: bool
) -> None:
    facts = facts_of(signals) if fetched else None
    made = Replay(Stored(signals, facts=facts), RULES)
    if fetched:
        assert not made.tables["document"].pending
    check(made, signals)
    draw = random.Random(3)
    for _ in range(40):
        scope = draw.choice(["text_node", "image_node", "document"])
        names = [name for name, rule in getattr(made.rules, scope).items() if not rule.one_of]
        name = draw.choice(names)
        rule = getattr(made.rules, scope)[name]
        end = draw.choice(["min", "max", "below"])
        values = made.tables[scope].values[name]  # type: ignore[index]
        known = values[~np.isnan(values)]
        bound = float(draw.choice(known.tolist())) if len(known) else 1.0
        taken = draw.random() < 0.1 and getattr(rule, end) is not None
        group = draw.choice([UNGROUPED, *GROUPS[scope]])
        made.move(moved(made.rules, scope, name, end, None if taken else bound, group))
        check(made, signals)


def test_only_documents_in_which_something_changes_are_judged_again(
    signals: pa.RecordBatch,
) -> None:
    made = Replay(Stored(signals), RULES)
    assert made.move(moved(RULES, "document", "words", "min", 90)) == 0
    again = made.move(moved(made.rules, "text_node", "content_score", "min", 0.31))
    assert 0 < again < len(made)
    check(made, signals)


def test_what_is_left_of_a_long_move_is_settled_later(
    signals: pa.RecordBatch,
) -> None:
    made = Replay(Stored(signals), RULES)
    made.chunk = 5
    again = made.move(moved(RULES, "text_node", "content_score", "min", 0.7), later=True)
    left = made.settle(0.0)
    assert again > 20
    assert left == again - 10  # two chunks, by two threads
    made.move(moved(made.rules, "text_node", "words", "max", 9), later=True)
    while made.settle(0.0):
        pass
    check(made, signals)


def test_a_signal_that_no_rule_uses_is_watched_and_bounded(signals: pa.RecordBatch) -> None:
    made = Replay(Stored(signals), RULES)
    watched = {**RULES.text_node, "chars": Rule()}
    made.move(RULES.model_copy(update={"text_node": watched}))
    assert "chars" in made.tables["text_node"].values
    check(made, signals)
    made.move(moved(made.rules, "text_node", "chars", "max", 60))
    check(made, signals)


def test_what_was_taken_down_stays_down(signals: pa.RecordBatch) -> None:
    rows = [[] for _ in range(signals.num_rows)]  # type: list[list[dict[str, Any]]]
    place = next(row for row, images in enumerate(signals["images"].to_pylist()) if images)
    index = signals["images"][place].as_py()[0]["index"]
    rows[place] = [{"index": index, "reason": "takedown.url"},
                   {"index": 0, "reason": "text_node.words.max"}]  # fmt: skip
    dropped = pa.array(rows, VERDICTS.field("dropped").type)
    before = replay._before_rules(dropped)
    assert [len(one) for one in before.to_pylist()] == [
        int(row == place) for row in range(signals.num_rows)
    ]
    refused = np.zeros(signals.num_rows, np.bool_)
    made = Replay(Stored(signals, (before,), refused=refused), RULES)
    check(made, signals)
    refused[:] = True
    made.move(moved(made.rules, "document", "words", "min", 1))
    assert not made.kept["document"].any()
