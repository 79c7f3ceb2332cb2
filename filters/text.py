"""Counts of each paragraph: characters by class, words by list, lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from filters.characters import (
    ALPHA,
    DIGIT,
    NEWLINE,
    PUNCTUATION,
    SPACE,
    SPECIAL,
    TERMINAL,
    UPPER,
    WORD,
)
from filters.paragraphs import Integers, Paragraphs
from filters.words import Words

Counts = dict[str, Integers]


def characters(text: Paragraphs) -> Counts:
    """Characters by class.

    Special characters and punctuation are OBELICS's: punctuation is counted against tokens, runs
    of word characters or single punctuation marks.
    """
    classes = text.classes
    word = (classes & WORD) != 0
    begins = word.copy()
    begins[1:] &= ~word[:-1]
    punctuation = text.count((classes & PUNCTUATION) != 0)
    return {
        "chars": text.ends - text.starts,
        "special": text.count((classes & SPECIAL) != 0),
        "punctuation": punctuation,
        "tokens": text.count(begins) + punctuation,
        "upper": text.count((classes & UPPER) != 0),
        "digits": text.count((classes & DIGIT) != 0),
        "symbols": text.count((text.codes == ord("#")) | (text.codes == ord("…"))),
    }


def words(text: Paragraphs, found: Words) -> Counts:
    """Words, their characters, and words with a letter (Gopher)."""
    alpha = np.zeros(len(text.classes) + 1, np.int32)
    np.cumsum((text.classes & ALPHA) != 0, out=alpha[1:])
    with_letter = alpha[found.ends] > alpha[found.starts]
    lengths = np.bincount(
        found.paragraph, weights=found.ends - found.starts, minlength=len(found.counts)
    )
    return {
        "words": found.counts,
        "word_chars": lengths.astype(np.int64),
        "alpha_words": found.per_paragraph(with_letter),
    }


def lines(text: Paragraphs, short: int, bullets: str) -> Counts:
    """Lines by kind; a line of more than white space (C4, Gopher, FineWeb).

    `short` is the number of characters below which a line is short.
    """
    starts, ends, paragraph = _lines(text)
    size = len(text)
    last = text.codes[ends - 1]
    bullet = np.isin(text.codes[starts], np.array([ord(mark) for mark in bullets], np.uint32))
    ellipsis = last == ord("…")
    dots = np.maximum(ends - 3, starts)
    ellipsis |= (last == ord(".")) & (text.codes[dots] == ord(".")) & (ends - dots == 3)
    terminal = ((text.classes[ends - 1] & TERMINAL) != 0) & ~ellipsis
    repeated = _repeats(text.document[paragraph], text.window_hashes(starts, ends))
    chars = np.bincount(paragraph[repeated], (ends - starts)[repeated], minlength=size)
    counted = {
        "terminal_lines": terminal,
        "short_lines": ends - starts < short,
        "bullet_lines": bullet,
        "ellipsis_lines": ellipsis,
        "duplicate_lines": repeated,
    }
    return {
        "lines": np.bincount(paragraph, minlength=size),
        "duplicate_line_chars": chars.astype(np.int64),
        **{name: np.bincount(paragraph[mask], minlength=size) for name, mask in counted.items()},
    }


def duplicates(text: Paragraphs) -> Integers:
    """1 where an earlier paragraph of the same document has the same text."""
    hashes = text.window_hashes(text.starts, text.ends)
    return _repeats(text.document, hashes).astype(np.int64)


def _lines(text: Paragraphs) -> tuple[Integers, Integers, Integers]:
    """Starts and ends without white space at the ends, and the paragraph, of each line."""
    newline = np.cumsum((text.classes & NEWLINE) != 0, dtype=np.int32)
    solid = np.flatnonzero(~_space(text))
    line = newline[solid]
    first = np.flatnonzero(np.diff(line, prepend=-1))
    starts = solid[first]
    ends = solid[np.append(first[1:], len(solid)) - 1] + 1 if len(solid) else starts
    return starts, ends, np.searchsorted(text.starts, starts, "right") - 1


def _space(text: Paragraphs) -> NDArray[np.bool_]:
    return np.asarray((text.classes & SPACE) != 0)


def _repeats(document: Integers, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """True where the same hash occurs earlier in the same document."""
    order = np.lexsort((hashes, document))
    same = np.zeros(len(order), np.bool_)
    if len(order):
        before, after = order[:-1], order[1:]
        same[after] = (hashes[after] == hashes[before]) & (document[after] == document[before])
    return same
