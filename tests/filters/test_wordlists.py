"""Words on lists, counted by hand, in scripts with and without spaces."""

from __future__ import annotations

import pytest

from filters import wordlists
from tests.filters.pages import OBELICS, SETTINGS, measure, page, text

ROOTS = """
    ak ar as bm bn ca en es eu fon fr gu hi id ig ki kn lg ln ml mr ne nso ny or pa pt rn rw sn st
    sw ta te tn ts tum tw ur vi wo xh yo zh zu
""".split()  # noqa: SIM905
WITHOUT_STOP_WORDS = {"as", "ki", "or", "tum"}  # no package and no Declaration has them


@pytest.mark.parametrize(
    ("one", "language", "stop"),
    [
        ("The owl slept in the old barn while rain fell on the roof.", "en", 7),
        ("Die Eule schlief in der alten Scheune, und es war kalt.", "de", 6),
        ("Сова спала в старом сарае, и дождь шёл на крышу.", "ru", 3),
        ("我们在公园里看到了一只猫头鹰。", "zh", 8),
        ("उल्लू पुराने खलिहान में सो रहा था और बारिश हो रही थी।", "hi", 7),
        ("نامت البومة في الحظيرة القديمة و كان المطر على السقف", "ar", 4),
    ],
)
def test_stop_words_by_hand(one: str, language: str, stop: int) -> None:
    found = measure(page(text(one))).to_pylist()[0]
    assert found["language"] == language
    assert found["paragraphs"][0]["stop"] == stop


def test_spam_words_are_counted_where_there_is_a_list() -> None:
    found = measure(page(text("Please share this post and subscribe to our newsletter today.")))
    assert found.to_pylist()[0]["paragraphs"][0]["spam"] == 4


def test_both_apostrophes_are_one() -> None:
    found = measure(page(text("They don't know that the owls don’t sleep in the barn at night.")))
    plain = found.to_pylist()[0]["paragraphs"][0]
    assert (
        plain["stop"]
        == measure(
            page(text("They don't know that the owls don't sleep in the barn at night."))
        ).to_pylist()[0]["paragraphs"][0]["stop"]
    )


@pytest.mark.parametrize("language", ROOTS)
def test_languages_of_roots_have_stop_words(language: str) -> None:
    listed = wordlists.listed_words("stop", language, SETTINGS)
    assert (len(listed) >= 9) == (language not in WITHOUT_STOP_WORDS)


def test_common_words_are_wordfreqs() -> None:
    assert "owl" in wordlists.listed_words("common", "en", OBELICS.signals)
    assert wordlists.listed_words("common", "zu", OBELICS.signals) == []
    assert wordlists.load("common", "zu", SETTINGS) is None
