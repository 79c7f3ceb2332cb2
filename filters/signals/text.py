"""Words: what counts as one, in scripts with and without spaces.

White space separates words, special characters at their ends do not count (OBELICS). Scripts
without spaces have no cheap word boundary, so each of their characters (with its combining marks)
is one word, as Unicode's default segmentation has it for Han (UAX 29).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benben.filters.signals import scan
from benben.filters.signals.characters import TERMINAL
from benben.filters.signals.paragraphs import Integers, Paragraphs


@dataclass(slots=True)
class Words:
    """Words of a batch, in reading order."""

    starts: Integers  # positions in the batch's text
    ends: Integers
    paragraph: Integers
    hashes: NDArray[np.uint64]  # of the lower-case form
    counts: Integers  # words of each paragraph


def find(text: Paragraphs) -> Words:
    """Find the words of each paragraph."""
    most = len(text.classes)
    starts, ends, paragraph = (np.empty(most, np.int64) for _ in range(3))
    counts = np.empty(len(text), np.int64)
    number = scan.find_words(text.classes, text.starts, text.ends, starts, ends, paragraph, counts)
    starts, ends = starts[:number], ends[:number]
    return Words(starts, ends, paragraph[:number], text.window_hashes(starts, ends), counts)


# FOLD-IN Counts of each paragraph: characters by class, words by list, lines.


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
