"""Verdicts: nodes first, then documents over kept nodes; facts of images; earlier removals."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from benben.filters.decide import decide_batch
from benben.filters.verdicts import count_unjudged, count_verdicts
from benben.pipeline import schema
from tests.filters.pages import image, measure, page, rules, text

FACTS = pa.list_(
    pa.struct(
        [
            ("reason", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("format", pa.string()),
        ]
    )
)
LONG = "The owl slept in the old barn while the rain fell on the roof."


def verdict(signals: pa.RecordBatch, judged: Any, **more: Any) -> dict[str, Any]:
    return dict(decide_batch(signals, judged, **more).to_pylist()[0])


def test_a_short_paragraph_goes_with_value_and_bound() -> None:
    signals = measure(page(text(f"{LONG}\n\nToo short")))
    found = verdict(signals, rules(text_node={"words": {"min": 4}}))
    assert found["kept"]
    assert found["dropped"] == [
        {"index": 0, "reason": "text_node.words.min", "value": 2.0, "bound": 4.0, "paragraph": 1}
    ]


def test_documents_are_judged_over_kept_nodes() -> None:
    signals = measure(page(text(LONG), text("Too short"), image()))
    judged = rules(text_node={"words": {"min": 4}}, document={"words": {"min": 15}})
    found = verdict(signals, judged)
    assert found["reasons"] == ["document.words.min"]
    assert (found["values"], found["bounds"]) == ([14.0], [15.0])


def test_the_first_rule_decides_a_node_and_all_failing_ones_are_told_of_a_document() -> None:
    signals = measure(page(text("No")))
    judged = rules(
        text_node={"chars": {"min": 5}, "words": {"min": 4}},
        document={"images": {"min": 1}, "words": {"min": 1}},
    )
    found = verdict(signals, judged)
    assert [one["reason"] for one in found["dropped"]] == ["text_node.chars.min"]
    assert found["reasons"] == ["document.images.min", "document.words.min"]


def test_rules_on_images_that_are_not_fetched_are_pending_not_passed() -> None:
    signals = measure(page(text(LONG), image()))
    judged = rules(image_node={"width": {"min": 150}, "format": {"one_of": ["jpeg"]}})
    found = decide_batch(signals, judged)
    assert count_unjudged(found) == {"image_node.format.pending": 1, "image_node.width.pending": 1}
    assert found.to_pylist()[0]["dropped"] == []


def test_known_images_are_judged_and_limits_checked_again() -> None:
    signals = measure(page(text(LONG), image(), image(), image()))
    facts = pa.array(
        [
            [
                {"width": 100, "height": 100, "format": "jpeg"},
                {"width": 300, "height": 300, "format": "gif"},
                {"reason": "fetch.http_404"},
            ]
        ],
        FACTS,
    )
    judged = rules(
        image_node={"width": {"min": 150}, "format": {"one_of": ["jpeg", "png"]}},
        document={"images": {"min": 1}},
    )
    found = verdict(signals, judged, facts=facts)
    assert [one["reason"] for one in found["dropped"]] == [
        "image_node.width.min",
        "image_node.format.one_of",
        "fetch.http_404",
    ]
    assert found["reasons"] == ["document.images.min"]
    assert found["unjudged"] == []


def test_facts_must_stand_beside_the_images() -> None:
    signals = measure(page(text(LONG), image()))
    with pytest.raises(ValueError, match="not aligned"):
        decide_batch(signals, rules(), facts=pa.array([[]], FACTS))


def test_nodes_that_other_stages_removed_count_no_more() -> None:
    signals = measure(page(text(f"{LONG}\n\n{LONG} Yes."), text(LONG), image()))
    removed = pa.array(
        [
            [
                {"index": 0, "reason": "duplicate.paragraph", "paragraph": 1},
                {"index": 1, "reason": "duplicate.paragraph"},
                {"index": 2, "reason": "duplicate.image"},
            ]
        ],
        pa.list_(schema.NODE_VERDICT),
    )
    judged = rules(document={"words": {"min": 15}, "images": {"min": 1}})
    found = verdict(signals, judged, removed=[removed])
    assert [(one["index"], one["paragraph"]) for one in found["dropped"]] == [
        (0, 1),
        (1, 0),
        (2, None),
    ]
    assert found["reasons"] == ["document.words.min", "document.images.min"]
    assert found["values"] == [14.0, 0.0]


def test_a_page_that_was_not_extracted_keeps_its_reason() -> None:
    signals = measure(page(reason="extract.not_html", nodes=None))
    found = verdict(signals, rules(document={"words": {"min": 1}}))
    assert (found["kept"], found["reasons"]) == (False, ["extract.not_html"])


def test_counts_are_conserved() -> None:
    signals = measure(
        page(text(f"{LONG}\n\nNo"), image(), {"kind": "break", "link_share": 0.0}),
        page(text("No"), image()),
        page(reason="extract.not_html", nodes=None),
    )
    judged = rules(text_node={"words": {"min": 4}}, document={"words": {"min": 1}})
    found = count_verdicts(signals, decide_batch(signals, judged))
    for unit, numbers in found.items():
        numbers.check(unit)
    assert found["documents"].rejected == {"document.words.min": 1}
    assert (found["nodes"].entered, found["nodes"].kept) == (5, 3)
    assert found["nodes"].rejected == {"text_node.words.min": 1, "document.words.min": 1}
    assert found["images"].rejected == {"document.words.min": 1}
    assert found["paragraphs"].rejected == {"text_node.words.min": 2}


def test_bounds_that_dropped_images_may_still_meet_wait_for_the_fetch() -> None:
    signals = measure(page(text(LONG), *(image(f"https://example.com/{n}.jpg") for n in range(3))))
    judged = rules(
        image_node={"width": {"min": 150}},
        document={"images": {"max": 2}},
    )
    before = decide_batch(signals, judged)
    assert before.to_pylist()[0]["kept"]
    assert count_unjudged(before) == {"document.images.pending": 1, "image_node.width.pending": 1}
    small, large = {"width": 10, "height": 10}, {"width": 200, "height": 200}
    assert verdict(signals, judged, facts=pa.array([[small, large, large]], FACTS))["kept"]
    after = verdict(signals, judged, facts=pa.array([[large, large, large]], FACTS))
    assert after["reasons"] == ["document.images.max"]


def test_nsfw_images_drop_their_document_once_classified() -> None:
    signals = measure(page(text(LONG), image(), image()))
    judged = rules(image_node={"nsfw": {"max": 0.8}}, document={"nsfw_images": {"max": 0}})
    assert count_unjudged(decide_batch(signals, judged)) == {
        "document.nsfw_images.pending": 1,
        "image_node.nsfw.pending": 1,
    }
    scored = pa.list_(pa.struct([("reason", pa.string()), ("nsfw", pa.float32())]))
    facts = pa.array([[{"nsfw": 0.1}, {"nsfw": 0.9}]], scored)
    assert verdict(signals, judged, facts=facts)["reasons"] == ["document.nsfw_images.max"]


def test_a_language_without_a_list_makes_the_rule_inapplicable() -> None:
    greek = "Η κουκουβάγια κοιμόταν στον παλιό αχυρώνα ενώ έβρεχε στη στέγη."
    judged = rules(
        text_node={"flagged_word_ratio": {"max": 0}}, document={"spam_word_ratio": {"max": 0}}
    )
    found = verdict(measure(page(text(greek))), judged)
    assert found["kept"]
    assert found["unjudged"] == [
        "document.spam_word_ratio.unmeasured",
        "text_node.flagged_word_ratio.unmeasured",
    ]


def test_languages_have_bounds_of_their_own() -> None:
    chinese, english = page(text("我们今天去公园。")), page(text(LONG))
    judged = rules(text_node={"words": {"min": 20, "languages": {"zh": {"min": 7}}}})
    found = decide_batch(measure(chinese, english), judged).to_pylist()
    assert [len(one["dropped"]) for one in found] == [0, 1]


def test_kinds_of_blocks_and_types_of_pages_have_bounds_of_their_own() -> None:
    blocks = [
        text(f"Owls {number}", path=path, content_score=0.4)
        for number, path in enumerate(["p.1", "ul.1/li.1", "table.1/tr.1/td.1", "pre.1"])
    ]
    pages = [page(*blocks, page_type=one) for one in ("forum", "article", None)]
    by = {
        "page_type": {"forum": {"max": 0.3}},
        "kind": {"list_item": {"min": 0.3}, "table_row": {}, "code": {"min": 0.45}},
    }
    judged = rules(text_node={"content_score": {"min": 0.5, "by": by}})
    found = decide_batch(measure(*pages), judged)["dropped"].to_pylist()
    # a group that is named first holds: forum pages before kinds of blocks
    assert [(one["index"], one["reason"], one["bound"]) for one in found[0]] == [
        (index, "text_node.content_score.max", 0.3) for index in range(4)
    ]
    for entries in found[1:]:
        assert [(one["index"], one["reason"], one["bound"]) for one in entries] == [
            (0, "text_node.content_score.min", 0.5), (3, "text_node.content_score.min", 0.45),
        ]  # fmt: skip


def test_images_and_documents_have_bounds_of_their_group() -> None:
    shown = image("https://e.com/a.png"), image("https://e.com/b.jpg")
    pages = [page(text(LONG), *shown, page_type=one) for one in ("product", "article")]
    judged = rules(
        image_node={"width": {"min": 9, "by": {"format": {"png": {"min": 99}}}}},
        document={"words": {"min": 1, "by": {"page_type": {"product": {"min": 500}}}}},
    )
    known = [[{"width": 50, "format": "png"}, {"width": 50, "format": "jpeg"}]] * 2
    entry = pa.struct([("reason", pa.string()), ("width", pa.int32()), ("format", pa.string())])
    facts = pa.array(known, pa.list_(entry))
    found = decide_batch(measure(*pages), judged, facts)
    assert found["reasons"].to_pylist() == [["document.words.min"], []]
    assert [[one["index"] for one in entries] for entries in found["dropped"].to_pylist()] == [
        [1], [1]
    ]  # fmt: skip


def test_a_condition_limits_a_rule() -> None:
    signals = measure(page(text("no marks in this"), text(f"{LONG[:-1]} and more of it")))
    judged = rules(text_node={"punctuation_ratio": {"min": 0.001, "when": {"tokens": {"min": 12}}}})
    assert [one["index"] for one in verdict(signals, judged)["dropped"]] == [1]


def test_below_is_strict_and_max_is_not() -> None:
    signals = measure(page(text("Share the old barn now")))  # one spam word of five
    for bounds, dropped in (({"below": 0.2}, 1), ({"max": 0.2}, 0), ({"below": 0.21}, 0)):
        judged = rules(text_node={"spam_word_ratio": bounds})
        assert len(verdict(signals, judged)["dropped"]) == dropped


def test_nodes_dropped_before_do_not_enter_again() -> None:
    pages = [
        page(text(f"{LONG}\n\nToo short"), image(), image("https://e.com/logo.png")),
        page(text("Too short\n\nOwls slept here all day"), {"kind": "break"}, text("Me too")),
    ]
    signals = measure(*pages)
    loose = rules(text_node={"words": {"min": 4}}, image_node={"url_words": {"max": 0}})
    strict = rules(text_node={"words": {"min": 4}}, document={"words": {"min": 10}})
    first = decide_batch(signals, loose)
    before = (first["dropped"],)
    again = decide_batch(signals, strict, removed=before)
    counted = count_verdicts(signals, again, before)
    left = count_verdicts(signals, first)
    for unit in ("nodes", "images", "paragraphs"):
        counted[unit].check(unit)
        assert counted[unit].entered == left[unit].kept
    assert counted["nodes"].model_dump() == {
        "entered": 4,
        "kept": 2,
        "rejected": {"document.words.min": 2},
    }
    assert counted["paragraphs"].rejected == {"document.words.min": 1}


def test_a_node_that_goes_late_goes_for_what_took_its_last_paragraphs() -> None:
    signals = measure(page(text(f"Too short\n\n{LONG}")))
    first = decide_batch(signals, rules(text_node={"words": {"min": 4}}))
    before = (first["dropped"],)
    again = decide_batch(signals, rules(text_node={"words": {"max": 10}}), removed=before)
    counted = count_verdicts(signals, again, before)
    assert counted["nodes"].rejected == {"text_node.words.max": 1}


def test_where_no_fetch_comes_documents_are_judged_by_the_images_they_have() -> None:
    signals = measure(page(text(LONG), *(image(f"https://example.com/{n}.jpg") for n in range(3))))
    judged = rules(image_node={"width": {"min": 150}}, document={"images": {"max": 2}})
    found = decide_batch(signals, judged, final=True)
    assert found.to_pylist()[0]["reasons"] == ["document.images.max"]
    refused = [{"index": 2, "reason": "consent.page"}]
    column = pa.array([refused], schema.VERDICTS.field("dropped").type)
    left = decide_batch(signals, judged, None, [column], final=True)
    assert left.to_pylist()[0]["kept"]
    assert count_unjudged(left) == {"image_node.width.pending": 1}
