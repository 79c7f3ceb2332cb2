"""Counts of paragraphs against values counted by hand, in several scripts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.filters.pages import OBELICS, paragraphs

# text -> counts; English, German, Russian, Greek, Arabic, Hindi, Chinese, Japanese, Thai
HAND_COUNTED: list[tuple[str, dict[str, Any]]] = [
    ("One two three.", {"chars": 14, "words": 3, "word_chars": 11, "special": 3, "upper": 1,
                        "punctuation": 1, "tokens": 4, "digits": 0, "alpha_words": 3}),
    ("Don't panic!", {"chars": 12, "words": 2, "word_chars": 10, "special": 3, "tokens": 3}),
    ("$12.4 million in 2022", {"words": 2, "digits": 7, "special": 12, "chars": 21,
                               "word_chars": 9}),
    ("(well-known) x--y", {"words": 2, "word_chars": 14, "alpha_words": 2}),
    ("Die Größe, bitte.", {"chars": 17, "words": 3, "word_chars": 13, "upper": 2, "special": 4,
                           "punctuation": 2, "tokens": 5}),
    ("Привет, мир!", {"chars": 12, "words": 2, "word_chars": 9, "upper": 1, "special": 3,
                      "punctuation": 2, "tokens": 4}),
    ("Τι κάνεις; Καλά·", {"words": 3, "word_chars": 12, "upper": 2, "special": 4}),
    ("مرحبا بالعالم، أهلا؟", {"words": 3, "word_chars": 16, "special": 4, "punctuation": 2,
                               "tokens": 5, "upper": 0}),
    ("नमस्ते दुनिया।", {"chars": 14, "words": 2, "word_chars": 12, "special": 2, "punctuation": 1,
                      "tokens": 3}),
    ("我们今天去公园。", {"chars": 8, "words": 7, "word_chars": 7, "special": 1, "punctuation": 1,
                  "tokens": 2}),
    ("今日はPythonを書く。", {"words": 7, "word_chars": 12, "special": 1}),
    ("สวัสดีครับ", {"chars": 10, "words": 7, "word_chars": 10, "special": 0}),
    ("١٢٣ ٤٥", {"chars": 6, "words": 0, "digits": 5, "special": 6}),
    ("# tag… 😀", {"symbols": 2, "words": 1, "special": 5, "chars": 8}),
    ("   ", {"chars": 1, "words": 0, "special": 1, "lines": 0}),  # blank: one space
]  # fmt: skip


@pytest.mark.parametrize(("text", "counts"), HAND_COUNTED)
def test_counts_equal_those_by_hand(text: str, counts: dict[str, int]) -> None:
    found = paragraphs(text)[0]
    assert {name: found[name] for name in counts} == counts


def test_blank_lines_separate_paragraphs_and_single_newlines_lines() -> None:
    found = paragraphs("one\ntwo\n\n\nthree", "four")
    assert [(one["index"], one["paragraph"]) for one in found] == [(0, 0), (0, 1), (1, 0)]
    assert [one["lines"] for one in found] == [2, 1, 1]
    assert [one["words"] for one in found] == [2, 1, 1]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (
            "• eins\n- zwei\nEin Satz.\nweiter …\nweiter ...",
            {"lines": 5, "bullet_lines": 2, "terminal_lines": 1, "ellipsis_lines": 2},
        ),
        ("Первая строка.\nВторая!", {"lines": 2, "terminal_lines": 2, "short_lines": 2}),
        ("这是第一行。\n第二行", {"lines": 2, "terminal_lines": 1, "bullet_lines": 0}),
        (
            "The same line of some length, thirty or more.\nno\nno",
            {"lines": 3, "short_lines": 2, "duplicate_lines": 1, "duplicate_line_chars": 2},
        ),
    ],
)
def test_lines_by_kind(text: str, counts: dict[str, int]) -> None:
    found = paragraphs(text)[0]
    assert {name: found[name] for name in counts} == counts


@pytest.mark.parametrize("text", ["Share this", "Поделиться этим", "分享本文"])
def test_paragraphs_and_lines_repeated_on_the_page_are_marked_after_the_first(text: str) -> None:
    found = paragraphs(text, "other", text, f"{text}\n{text}")
    assert [one["duplicate"] for one in found] == [0, 0, 1, 0]
    assert [one["duplicate_lines"] for one in found] == [0, 0, 1, 2]


def test_obelics_counts_its_six_punctuation_marks_only() -> None:
    found = paragraphs("Yes—no; what? “So.”", settings=OBELICS.signals)[0]
    assert (found["punctuation"], found["tokens"]) == (3, 7)
