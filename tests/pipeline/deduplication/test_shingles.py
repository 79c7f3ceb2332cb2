"""Shingles against a plain reading of their definition."""

from __future__ import annotations

import random
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benben.pipeline.deduplication.shingles import (
    sequence_hashes,
    shingle_hashes,
    token_hashes,
)

ALPHABET = "abcXÉé ßﬁ\u00ad\n.,-09日本語カなไทยк҆Йا\u0301\u3099\U00020000ｶﾞ"


def tokens(text: str) -> list[str]:
    """The definition, one character at a time, for letters of these tests."""
    words: list[str] = []
    open_word = False
    seen = text.replace("\u00ad", "")
    for character in unicodedata.normalize("NFKC", seen).replace("ß", "ss"):
        if unicodedata.category(character)[0] not in "LNM":
            open_word = False
            continue
        alone = "\u0e00" <= character <= "\u0e7f" or character >= "\u3040"
        if open_word and not alone:
            words[-1] += character
        else:
            words.append(character)
        open_word = not alone
    return [plain(word) for word in words]


def plain(word: str) -> str:
    folded = ""
    for character in word:
        spread = unicodedata.normalize("NFKD", character.lower())
        accents = all("\u0300" <= mark < "\u0370" for mark in spread[1:])
        folded += spread[0] if accents else unicodedata.normalize("NFKC", character.lower())
    return folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ｶﾞｲﾄﾞ", "ガイド"),
        ("ＡＢＣ１２", "abc12"),
        ("ﬁnal oﬀer", "final offer"),
        ("Straße", "STRASSE"),
        ("STRAẞE", "strasse"),
        ("ΟΔΟΣ", "οδος"),
        ("Donau\u00addampf\u00adschiff", "Donaudampfschiff"),
        ("می\u200cخواهم", "میخواهم"),
        ("a\u200bb\ufeffc", "abc"),
        ("ﻻ", "لا"),
        ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af"),
        ("①②", "12"),
        ("ﾊﾟﾝ", "パン"),
        ("Dvořák", "Dvor\u030ca\u0301k"),
    ],
)
def test_forms_that_read_the_same_are_equal(one: str, other: str) -> None:
    hashes, offsets = token_hashes([one, other])
    first, second = hashes[: offsets[1]], hashes[offsets[1] :]
    assert first.tolist() == second.tolist() != []


def ids(values: list[object]) -> list[int]:
    """Number values by first appearance: hashes and strings become comparable."""
    seen: dict[object, int] = {}
    return [seen.setdefault(value, len(seen)) for value in values]


@given(st.lists(st.text(ALPHABET, max_size=30), max_size=6))
def test_tokens_follow_the_definition(texts: list[str]) -> None:
    hashes, offsets = token_hashes(texts)
    expected = [tokens(text) for text in texts]
    assert np.diff(offsets).tolist() == [len(words) for words in expected]
    assert ids(hashes.tolist()) == ids([word for words in expected for word in words])


@given(st.lists(st.text("ab ", max_size=40), max_size=6), st.integers(1, 6))
def test_shingles_are_runs_of_tokens(texts: list[str], size: int) -> None:
    hashes, offsets = shingle_hashes(*token_hashes(texts), size)
    expected: list[list[tuple[str, ...]]] = []
    for text in texts:
        words = tokens(text)
        runs = [tuple(words[i : i + size]) for i in range(max(len(words) - size + 1, 1))]
        expected.append(runs if words else [])
    assert np.diff(offsets).tolist() == [len(runs) for runs in expected]
    assert ids(hashes.tolist()) == ids([run for runs in expected for run in runs])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße nach Zürich", "straße NACH zurich"),
        ("cafe\u0301 au lait", "café, au: lait!"),
        ("ＡＢＣ １２", "abc 12"),
        ("日本語のテスト", "日本語 の テスト"),
    ],
)
def test_case_accents_width_and_punctuation_do_not_count(one: str, other: str) -> None:
    hashes = sequence_hashes(*token_hashes([one, other, one + " x"]))
    assert hashes[0] == hashes[1] != hashes[2]


def test_hashes_do_not_depend_on_the_batch() -> None:
    draw = random.Random(2)
    texts = [" ".join(draw.choices(["one", "two", "дом", "語"], k=n)) for n in range(20)]
    together, offsets = shingle_hashes(*token_hashes(texts), 3)
    for number, text in enumerate(texts):
        alone, _ = shingle_hashes(*token_hashes([text]), 3)
        assert together[offsets[number] : offsets[number + 1]].tolist() == alone.tolist()


def test_hashes_are_the_same_in_every_release() -> None:
    """An index left by an earlier run is read by later ones: hashes are part of its format."""
    hashes, _ = shingle_hashes(*token_hashes(["the quick brown fox jumps over the lazy dog"]), 5)
    assert len(hashes) == 5
    assert hashes[0] == 3_965_495_166_304_436_696
