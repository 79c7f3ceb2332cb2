"""Signals of C4 and Gopher about what a page holds, counted on the whole page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benben.filters.signals import characters
from benben.filters.signals.paragraphs import Integers, Paragraphs
from benben.filters.signals.text import Words
from benben.filters.signals.wordlists import hash_list

GOPHER_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Rae et al. 2021, A1.1
PLACEHOLDER = ("lorem ipsum", "Lorem ipsum", "Lorem Ipsum", "LOREM IPSUM")


def signals(
    text: Paragraphs, words: Words, tables: characters.Characters
) -> dict[str, NDArray[np.int64]]:
    """Curly brackets, placeholder text, and how many of Gopher's eight words occur."""
    brackets = np.flatnonzero((text.codes == ord("{")) | (text.codes == ord("}")))
    rows = np.searchsorted(text.starts, brackets, "right") - 1
    return {
        "curly_brackets": np.bincount(text.document[rows], minlength=text.documents),
        "lorem_ipsum": _holding(text, PLACEHOLDER),
        "gopher_stop_words": _distinct(text, words, tables),
    }


def _holding(text: Paragraphs, phrases: tuple[str, ...]) -> Integers:
    """1 for documents that hold one of the phrases."""
    found = np.zeros(text.documents, np.int64)
    for phrase in phrases:
        place = text.text.find(phrase)
        while place >= 0:
            paragraph = int(np.searchsorted(text.starts, place, "right")) - 1
            found[text.document[paragraph]] = 1
            place = text.text.find(phrase, place + 1)
    return found


def _distinct(text: Paragraphs, words: Words, tables: characters.Characters) -> Integers:
    wanted = hash_list(list(GOPHER_WORDS), tables).by_length[1]
    place = np.minimum(np.searchsorted(wanted, words.hashes), len(wanted) - 1)
    hit = np.flatnonzero(wanted[place] == words.hashes)
    seen = np.zeros((text.documents, len(wanted)), np.bool_)
    seen[text.document[words.paragraph[hit]], place[hit]] = True
    return np.asarray(seen.sum(axis=1))
