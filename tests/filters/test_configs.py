"""Shipped rules are valid; `obelics` has every threshold of the reference, and nothing else."""

from __future__ import annotations

import pytest

from benben.filters.signal_table import check_rules
from benben.pipeline import config
from tests.filters.pages import OBELICS

# Laurençon et al. 2023, table 3, and the published code where it is finer (paragraph, document).
PARAGRAPH = {
    "words": {"min": 4, "max": 1000},
    "char_repetition": {"max": 0.1},
    "word_repetition": {"max": 0.1},
    "special_ratio": {"max": 0.3},
    "stopword_ratio": {"min": 0.3},
    "flagged_word_ratio": {"max": 0.01},
    "punctuation_ratio": {"min": 0.001, "when": {"tokens": {"min": 12}}},
    "common_word_ratio": {"min": 0.8},
    "spam_word_ratio": {"below": 0.12},
}
DOCUMENT = {
    "images": {"min": 1, "max": 30},
    "words": {"min": 10, "max": 2000},
    "char_repetition": {"max": 0.1},
    "word_repetition": {"max": 0.2},
    "special_ratio": {"max": 0.275},
    "stopword_ratio": {"min": 0.35},
    "flagged_word_ratio": {"max": 0.01},
    "punctuation_ratio": {"min": 0.03},
    "common_word_ratio": {"min": 0.9},
    "language": {"one_of": ["en"]},
    "language_score": {"min": 0.8},
    "perplexity": {"max": 1500},
    "nsfw_images": {"max": 0},
}
IMAGE = {
    "url_words": {"max": 0},
    "format": {"one_of": ["jpeg", "png", "webp"]},
    "width": {"min": 150, "max": 20000},
    "height": {"min": 150, "max": 20000},
    "rendered_width": {"min": 150, "max": 20000},
    "rendered_height": {"min": 150, "max": 20000},
    "aspect_ratio": {"min": 0.5, "max": 2},
    "duplicate": {"max": 0},
    "nsfw": {"max": 0.85},
}
URL_WORDS = ["logo", "button", "icon", "plugin", "widget", "porn", "xxx", "sex"]
SPAM_WORDS = 40


@pytest.mark.parametrize("name", ["default", "obelics", "multilingual", "strict", "sample"])
def test_shipped_rules_are_valid(name: str) -> None:
    check_rules(config.load(name, ["input=[x]"]).rules)


@pytest.mark.parametrize(
    ("scope", "reference"),
    [("text_node", PARAGRAPH), ("document", DOCUMENT), ("image_node", IMAGE)],
)
def test_obelics_has_the_papers_thresholds(scope: str, reference: dict[str, object]) -> None:
    rules = getattr(OBELICS.rules, scope)
    found = {name: rule.model_dump(exclude_none=True, exclude_defaults=True)
             for name, rule in rules.items()}  # fmt: skip
    assert found == reference


def test_obelics_has_the_papers_lists() -> None:
    signals = OBELICS.signals
    assert (signals.url_words, signals.url_word_match) == (URL_WORDS, "substring")
    assert sorted(signals.punctuation) == sorted(",;:?!.")
    assert len(signals.spam_words["en"]) == SPAM_WORDS
    assert signals.language_chars is None
