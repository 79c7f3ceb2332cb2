"""Repeated n-grams: by hand, against plain definitions, and over the paragraphs that are kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benben.filters.decide import decide_batch
from tests.filters.pages import measure, page, paragraphs, rules, text


@pytest.mark.parametrize(
    ("one", "chars", "words"),
    [
        ("abcdefghij", 0, 0),
        ("abcdefghijabcdefghij", 2, 0),  # 11 10-grams, 10 distinct, one of them twice
        ("a b c d e a b c d e", 0, 2),  # the 10-grams "a b c d e " and " b c d e a" end once
        ("да да да да да да да", 4, 3),  # 11 10-grams, 3 distinct, so the most frequent one
        ("好好好好好好好好好好好好", 3, 8),  # each character is a word
        ("नमस्ते नमस्ते नमस्ते नमस्ते नमस्ते नमस्ते", 0, 2),
        ("abcde " * 5 + "abcde", 0, 2),
    ],
)
def test_repetition_by_hand(one: str, chars: int, words: int) -> None:
    found = paragraphs(one)[0]
    assert found["repeated_words"] == words
    assert found["repeated_chars"] == most_repeated(ten_grams([one]))
    if len(one) <= 20:
        assert found["repeated_chars"] == chars


def most_repeated(grams: Sequence[str]) -> int:
    """OBELICS's definition, written plainly."""
    counts = sorted(Counter(grams).values(), reverse=True)
    most = min(math.isqrt(len(counts)), sum(count > 1 for count in counts))
    return sum(counts[:most])


def ten_grams(texts: Sequence[str]) -> list[str]:
    return [one[start : start + 10] for one in texts for start in range(len(one) - 9)]


def five_grams(texts: Sequence[str]) -> list[tuple[str, ...]]:
    split = [one.split() for one in texts]
    return [tuple(one[start : start + 5]) for one in split for start in range(len(one) - 4)]


def document_value(signals: Any, signal: str, least_words: int) -> float:
    judged = rules(text_node={"words": {"min": least_words}}, document={signal: {"max": -1}})
    return float(decide_batch(signals, judged).to_pylist()[0]["values"][0])


SENTENCES = st.lists(
    st.lists(st.sampled_from(["ab", "cd", "эю", "f"]), min_size=1, max_size=25).map(" ".join),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(SENTENCES, st.integers(0, 20))
def test_repetition_of_a_document_is_that_of_the_paragraphs_it_keeps(
    texts: list[str], least_words: int
) -> None:
    signals = measure(page(*(text(one) for one in texts)))
    kept = [one for one in texts if len(one.split()) >= least_words]
    chars, words = ten_grams(kept), five_grams(kept)
    repeated = sum(count for count in Counter(words).values() if count > 1)
    found = document_value(signals, "char_repetition", least_words)
    assert found == pytest.approx(most_repeated(chars) / max(len(chars), 1))
    found = document_value(signals, "word_repetition", least_words)
    assert found == pytest.approx(repeated / max(len(words), 1))


@settings(max_examples=15, deadline=None)
@given(SENTENCES)
def test_repetition_does_not_depend_on_what_else_is_in_the_batch(texts: list[str]) -> None:
    alone = page(*(text(f"\n{one}\n") for one in texts))
    other = page(*(text(one) for one in reversed(texts)))
    together = measure(other, alone, other)
    for name in ("paragraphs", "repeats", "top_2gram_ratio", "duplicate_5gram_ratio"):
        assert together.column(name)[1] == measure(alone).column(name)[0]


@pytest.mark.parametrize(
    ("one", "ratios"),
    [
        # 12 words of one letter: "a b" three times, "a b c" twice, "a b c x" never again
        ("a b c x a b c y a b z w", {"top_2gram_ratio": 6 / 12, "top_3gram_ratio": 6 / 12,
                                     "top_4gram_ratio": 0, "duplicate_5gram_ratio": 0}),
        ("раз два три четыре пять раз два три четыре пять",
         {"top_2gram_ratio": 20 / 38, "duplicate_5gram_ratio": 1, "duplicate_6gram_ratio": 0}),
        ("天地玄黄宇宙天地玄黄宇", {"top_2gram_ratio": 4 / 11, "duplicate_5gram_ratio": 10 / 11}),
    ],
)  # fmt: skip
def test_gophers_ratios_by_hand(one: str, ratios: dict[str, float]) -> None:
    found = measure(page(text(one))).to_pylist()[0]
    assert {name: found[name] for name in ratios} == pytest.approx(ratios)
