"""Counts of each paragraph: characters by class, words by list, lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benben.filters import scan
from benben.filters.characters import TERMINAL
from benben.filters.paragraphs import Integers, Paragraphs
from benben.filters.words import Words

Counts = dict[str, Integers]


def characters(text: Paragraphs) -> Counts:
    """Characters by class.

    Special characters and punctuation are OBELICS's: punctuation is counted against tokens, runs
    of word characters or single punctuation marks.
    """
    counts = np.empty((len(scan.COUNTED), len(text)), np.int64)
    scan.count_characters(text.codes, text.classes, text.starts, text.ends, counts)
    return {"chars": text.ends - text.starts, **dict(zip(scan.COUNTED, counts, strict=True))}


def words(text: Paragraphs, found: Words) -> Counts:
    """Words, their characters, and words with a letter (Gopher)."""
    alpha = np.zeros(len(text), np.int64)
    scan.with_letter(text.classes, found.starts, found.ends, found.paragraph, alpha)
    lengths = np.bincount(
        found.paragraph, weights=found.ends - found.starts, minlength=len(found.counts)
    )
    return {
        "words": found.counts,
        "word_chars": lengths.astype(np.int64),
        "alpha_words": alpha,
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
    starts, ends, paragraph = (np.empty(len(text.classes), np.int64) for _ in range(3))
    number = scan.find_lines(text.classes, text.starts, text.ends, starts, ends, paragraph)
    return starts[:number], ends[:number], paragraph[:number]


def _repeats(document: Integers, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """True where the same hash occurs earlier in the same document."""
    order = np.lexsort((hashes, document))
    same = np.zeros(len(order), np.bool_)
    if len(order):
        before, after = order[:-1], order[1:]
        same[after] = (hashes[after] == hashes[before]) & (document[after] == document[before])
    return same
