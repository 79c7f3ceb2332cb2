"""Mistakes in rules are reported all at once, each with its place and what to write instead."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from benben.filters.signal_table import check_rules
from benben.pipeline.config import ConfigError
from benben.pipeline.settings.signals import RuleSettings
from tests.filters.pages import rules


def test_all_mistakes_are_told() -> None:
    wrong = rules(
        text_node={"wrods": {"min": 1}},
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
