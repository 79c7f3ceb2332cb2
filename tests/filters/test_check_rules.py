"""Mistakes in rules are reported all at once, each with its place and what to write instead."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from benben.filters.signal_table import CATALOGUE, check_rules
from benben.pipeline.config import ConfigError
from benben.pipeline.page.score.content_score import PAGE_TYPES
from benben.pipeline.settings.signals import RuleSettings
from tests.filters.pages import rules


def test_all_mistakes_are_told() -> None:
    wrong = rules(
        text_node={
            "wrods": {"min": 1},
            "words": {
                "min": 1,
                "by": {
                    "kind": {"list_item": {"one_of": ["a"]}, "table": {"min": 2}},
                    "page_type": {"prodct": {"min": 3}},
                    "chars": {"5": {"min": 3}},
                    "kinds": {"text": {"min": 3}},
                    "language": {"zh": {"min": 3}},
                },
                "when": {"kind": {"one_of": ["texts"]}},
            },
        },
        image_node={"format": {"min": 3}},
        document={
            "width": {"min": 1},
            "words": {"min": 1, "languages": {"zh": {"one_of": ["a"]}}, "when": {"imgs": {}}},
        },
    )
    with pytest.raises(ConfigError) as caught:
        check_rules(wrong)
    assert str(caught.value).splitlines() == [
        "rules.text_node.wrods: no signal 'wrods' for text_node; did you mean 'words'?",
        "rules.text_node.words.by.kind: no kind 'table'; there are text, heading, list_item, "
        "table_row, code, definition, caption",
        "rules.text_node.words.by.kind.list_item: 'words' is a number; give min or max instead of "
        "one_of",
        "rules.text_node.words.by.page_type: no page_type 'prodct'; there are article, "
        "collection, documentation, forum, listing, product, service",
        "rules.text_node.words.by.chars: 'chars' is a number; bounds can be given by kind, "
        "page_type",
        "rules.text_node.words.by.kinds: 'kinds' is no signal of text_node or document; bounds "
        "can be given by kind, page_type",
        "rules.text_node.words.by.language: write languages: instead of by: {language: ...}",
        "rules.text_node.words.when.kind: no kind 'texts'; there are text, heading, list_item, "
        "table_row, code, definition, caption",
        "rules.image_node.format: 'format' is a name; give one_of: [...] instead of min or max",
        "rules.document.width: no signal 'width' for document; it is a signal of image_node",
        "rules.document.words.languages.zh: 'words' is a number; give min or max instead of one_of",
        "rules.document.words.when.imgs: no signal 'imgs' for document; did you mean 'images'?",
    ]


@pytest.mark.parametrize(
    "bounds", [{"min": "four"}, {"min": 3, "max": 2}, {"min": 1, "one_of": ["a"]}, {"mim": 1}]
)
def test_bounds_of_the_wrong_form_are_refused(bounds: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RuleSettings.model_validate({"document": {"words": bounds}})


def test_null_takes_a_group_of_the_base_away() -> None:
    found = rules(
        document={"words": {"min": 1, "languages": {"zh": None}, "by": {"page_type": None}}},
        text_node={"words": {"by": {"kind": {"code": None, "heading": {"min": 2, "max": None}}}}},
    )
    assert not found.document["words"].groups()
    assert {group: one.min for group, one in found.text_node["words"].groups().items()} == {
        ("kind", "heading"): 2
    }


def test_the_names_of_page_types_are_those_that_pages_get() -> None:
    assert CATALOGUE["document"]["page_type"].choices == PAGE_TYPES
