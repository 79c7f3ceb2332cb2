"""Words on lists, counted by hand, in scripts with and without spaces."""

from __future__ import annotations

import gzip
import json

import pytest
import wordfreq

from benben.filters.decide import decide_batch
from benben.filters.signals import wordlists
from benben.filters.verdicts import count_unjudged, unjudged_metrics
from tests.filters.pages import OBELICS, SETTINGS, measure, page, rules, text
from tests.shared import DATA, needs_shared

ROOTS = """
    ak ar as bm bn ca en es eu fon fr gu hi id ig ki kn lg ln ml mr ne nso ny or pa pt rn rw sn st
    sw ta te tn ts tum tw ur vi wo xh yo zh zu
""".split()  # noqa: SIM905
WITHOUT_STOP_WORDS = {"ki", "tum"}  # no package and no Declaration has them


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


@pytest.mark.parametrize("size", ["small", "large", "best"])
def test_common_words_are_wordfreqs(size: str) -> None:
    settings = SETTINGS.model_copy(update={"common_words": size})
    for language in ("en", "zh", "da", "sh", "zu"):  # with both sizes, the small one, none
        known = language in wordfreq.available_languages(size)
        expected = list(wordfreq.get_frequency_dict(language, size)) if known else []
        assert wordlists.listed_words("common", language, settings) == expected


def test_a_language_without_common_words_has_no_list() -> None:
    assert "owl" in wordlists.listed_words("common", "en", OBELICS.signals)
    assert wordlists.listed_words("common", "zu", OBELICS.signals) == []
    assert wordlists.load("common", "zu", SETTINGS) is None


@pytest.mark.parametrize(
    ("one", "flagged"),
    [
        ("会议在下午13点开始，地点是市图书馆，重点讨论产品的性能和安全性。", 0),
        ("这种牛奶的质量很好，可能性很大，请注意逼近的期限。", 0),
        ("这里有人说他妈的，后来大家都不说话了，会议也就结束了。", 3),
    ],
)
def test_a_flagged_character_is_part_of_plain_words(one: str, flagged: int) -> None:
    found = measure(page(text(one))).to_pylist()[0]
    assert found["language"] == "zh"
    assert found["paragraphs"][0]["flagged"] == flagged


def test_single_characters_are_stop_words_all_the_same() -> None:
    flagged = wordlists.load("flagged", "zh", SETTINGS)
    stop = wordlists.load("stop", "zh", SETTINGS)
    assert flagged is not None
    assert stop is not None
    assert 1 in stop.by_length
    assert 1 not in flagged.by_length
    english = wordlists.load("flagged", "en", SETTINGS)
    assert english is not None
    assert len(english.by_length[1]) > 200


@needs_shared
def test_plain_paragraphs_of_real_chinese_and_japanese_pages_survive() -> None:
    """Paragraphs that people marked as main content, one a line in the gold text."""
    judged = rules(text_node={"flagged_word_ratio": {"max": 0.01}})
    lines = []
    for path in sorted((DATA / "gold").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for record in map(json.loads, file):
                if record["lang"] in ("zh", "ja") and record["gold_text"]:
                    lines.append([one for one in record["gold_text"].split("\n") if one.strip()])
    signals = measure(*(page(*map(text, page_lines)) for page_lines in lines))
    dropped = decide_batch(signals, judged).column("dropped").to_pylist()
    lost = [lines[row][one["index"]] for row, page_ in enumerate(dropped) for one in page_]
    assert sum(map(len, lines)) > 1000
    explicit = ("成人", "性爱", "乳交", "他妈", "妈的", "娘的", "狗屁", "激情")
    assert [one for one in lost if not any(word in one for word in explicit)] == []


@pytest.mark.parametrize(
    ("language", "function_words", "content_words"),
    [
        ("as", "আৰু এই পৰা বাবে অথবা", "ফাইল ফোল্ডাৰ বাৰ্তা তালিকা"),
        ("or", "ଏବଂ ଏହି ପାଇଁ କିମ୍ବା ସହିତ", "ଫାଇଲ ଫୋଲଡର ସନ୍ଦେଶ ତ୍ରୁଟି"),
    ],
)
def test_words_of_messages_are_function_words(
    language: str, function_words: str, content_words: str
) -> None:
    listed = wordlists.listed_words("stop", language, SETTINGS)
    assert set(function_words.split()) <= set(listed)
    assert not set(content_words.split()) & set(listed)


def test_a_language_without_a_list_is_counted_and_not_judged() -> None:
    settings = SETTINGS.model_copy(update={"language_names": {"en": "tum"}})
    signals = measure(page(text("The owl slept in the old barn all night.")), settings=settings)
    verdicts = decide_batch(signals, rules(text_node={"stopword_ratio": {"min": 0.9}}))
    assert verdicts.to_pylist()[0]["dropped"] == []
    counted = unjudged_metrics(count_unjudged(verdicts))
    assert counted == {"unjudged.text_node.stopword_ratio.unmeasured": 1.0}
