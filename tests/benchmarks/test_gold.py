"""Measures of a text against gold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.gold import edit_distance, rouge

WORDS = st.lists(st.sampled_from(["owl", "barn", "#", "|"]), max_size=9)


def levenshtein(one: list[str], other: list[str]) -> int:
    """The matrix in full."""
    row = list(range(len(other) + 1))
    for place, piece in enumerate(one, 1):
        before, row = row, [place]
        for column, wanted in enumerate(other):
            same = before[column] + (piece != wanted)
            row.append(min(same, before[column + 1] + 1, row[column] + 1))
    return row[-1]


@given(WORDS, WORDS)
def test_the_edit_distance_is_levenshteins(one: list[str], other: list[str]) -> None:
    longer = max(len(one), len(other), 1)
    found = edit_distance(" ".join(one), "  ".join(other))
    assert found == pytest.approx(levenshtein(one, other) / longer)


def test_the_edit_distance_counts_marks_and_no_white_space() -> None:
    assert edit_distance("# Barn\n\n- an owl", "# barn\n- an  owl") == 0
    assert edit_distance("Barn\n\nan owl", "# Barn\n\n- an owl") == pytest.approx(2 / 5)


def test_rouge_is_the_f1_of_runs_of_tokens() -> None:
    text = "one two three four five six"
    assert rouge(text, text) == 1
    assert rouge(text, "one two three four five") == pytest.approx(2 / 3)
    assert rouge(text, "six five four three two one") == 0
    assert rouge("an owl", "an owl") == 1
    assert rouge("", "an owl") == 0
    assert rouge("", "") == 1
