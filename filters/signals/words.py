"""Characters, words and lines of paragraphs.

White space separates words; special characters at their ends do not count (OBELICS). Scripts
without spaces have no cheap word boundary, so each of their characters (with its combining marks)
is one word, which is Unicode's default segmentation of Han (UAX 29).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.common.hashing import Hashes
from benben.filters.declaration import (
    C4,
    FINEWEB,
    GOPHER,
    OBELICS,
    OMNICORPUS,
    TEXT,
    Column,
    Derived,
    Floats,
    KeptCount,
    KeptNodes,
    Signal,
    measured_together,
    stored,
    text_ratio,
)
from benben.filters.signals.text import (
    ALPHA,
    CONTINUOUS,
    DIGIT,
    MARK,
    NEWLINE,
    PUNCTUATION,
    SPACE,
    SPECIAL,
    TERMINAL,
    UPPER,
    WORD,
    Batch,
    Classes,
    Codes,
    Integers,
    Paragraphs,
)
from benben.pipeline.compiled import borrowed, compiled

COUNTED = ("special", "punctuation", "tokens", "upper", "digits", "symbols")
BLANK_LINE_CHARS = 2  # OBELICS's document text has the two newlines between paragraphs
_HASH_SIGN, _ELLIPSIS = ord("#"), ord("…")


@dataclass(slots=True)
class Words:
    """Words of a batch, in reading order."""

    starts: Integers  # positions in the batch's text
    ends: Integers
    paragraph: Integers
    hashes: Hashes  # of the lower-case form
    counts: Integers  # words of each paragraph


def words_of(batch: Batch) -> Words:
    """Find the words of a batch; call it through `batch.once`."""
    return find(batch.text)


def find(text: Paragraphs) -> Words:
    """Find the words of each paragraph."""
    most = len(text.classes)
    starts, ends, paragraph = (np.empty(most, np.int64) for _ in range(3))
    counts = np.empty(len(text), np.int64)
    number = _find_words(text.classes, text.starts, text.ends, starts, ends, paragraph, counts)
    starts, ends = starts[:number], ends[:number]
    return Words(starts, ends, paragraph[:number], text.window_hashes(starts, ends), counts)


def count_characters(batch: Batch) -> dict[str, Integers]:
    """Count the characters of each paragraph by class.

    Special characters and punctuation are OBELICS's: punctuation is counted against tokens, which
    are runs of word characters and single punctuation marks.
    """
    text = batch.text
    counts = np.empty((len(COUNTED), len(text)), np.int64)
    _count_characters(text.codes, text.classes, text.starts, text.ends, counts)
    return {"chars": text.ends - text.starts, **dict(zip(COUNTED, counts, strict=True))}


def count_words(batch: Batch) -> dict[str, Integers]:
    """Count words, their characters, and words with a letter (Gopher)."""
    text, found = batch.text, batch.once(words_of)
    alpha = np.zeros(len(text), np.int64)
    _count_with_letter(text.classes, found.starts, found.ends, found.paragraph, alpha)
    lengths = np.bincount(
        found.paragraph, weights=found.ends - found.starts, minlength=len(found.counts)
    )
    return {
        "words": found.counts,
        "word_chars": lengths.astype(np.int64),
        "alpha_words": alpha,
    }


def count_lines(batch: Batch) -> dict[str, Integers]:
    """Count lines that are not blank, by kind (C4, Gopher, FineWeb)."""
    text, settings = batch.text, batch.settings
    starts, ends, paragraph = _lines(text)
    size = len(text)
    last = text.codes[ends - 1]
    bullets = np.array([ord(mark) for mark in settings.bullets], np.uint32)
    ellipsis = last == _ELLIPSIS
    dots = np.maximum(ends - 3, starts)
    ellipsis |= (last == ord(".")) & (text.codes[dots] == ord(".")) & (ends - dots == 3)
    repeated = _earlier(text.document[paragraph], text.window_hashes(starts, ends))
    chars = np.bincount(paragraph[repeated], (ends - starts)[repeated], minlength=size)
    kinds = {
        "terminal_lines": ((text.classes[ends - 1] & TERMINAL) != 0) & ~ellipsis,
        "short_lines": ends - starts < settings.short_line,
        "bullet_lines": np.isin(text.codes[starts], bullets),
        "ellipsis_lines": ellipsis,
        "duplicate_lines": repeated,
    }
    return {
        "lines": np.bincount(paragraph, minlength=size),
        "duplicate_line_chars": chars.astype(np.int64),
        **{name: np.bincount(paragraph[mask], minlength=size) for name, mask in kinds.items()},
    }


def find_duplicates(batch: Batch) -> Integers:
    """Return 1 for paragraphs whose text an earlier paragraph of the same document has."""
    hashes = batch.text.window_hashes(batch.text.starts, batch.text.ends)
    return _earlier(batch.text.document, hashes).astype(np.int64)


def _lines(text: Paragraphs) -> tuple[Integers, Integers, Integers]:
    """Start, end and paragraph of each line, without the white space at its ends."""
    starts, ends, paragraph = (np.empty(len(text.classes), np.int64) for _ in range(3))
    number = _find_lines(text.classes, text.starts, text.ends, starts, ends, paragraph)
    return starts[:number], ends[:number], paragraph[:number]


def _earlier(document: Integers, hashes: Hashes) -> NDArray[np.bool_]:
    """True where the same hash occurs earlier in the same document."""
    order = np.lexsort((hashes, document))
    same = np.zeros(len(order), np.bool_)
    if len(order):
        before, after = order[:-1], order[1:]
        same[after] = (hashes[after] == hashes[before]) & (document[after] == document[before])
    return same


# Passes over the characters, compiled.


@compiled
def _find_words(
    classes: Classes, first: Integers, last: Integers, starts: Integers, ends: Integers,
    paragraph: Integers, counts: Integers,
) -> int:  # fmt: skip
    """Write start, end and paragraph of each word of the paragraphs `first` to `last`.

    `counts` receives the words of each paragraph. Returns the number of all words.
    """
    classes, starts, ends = borrowed(classes), borrowed(starts), borrowed(ends)
    paragraph = borrowed(paragraph)
    number = 0
    for row in range(len(first)):
        before, apart, continuous = number, True, False
        for place in range(first[row], last[row]):
            kind = classes[place]
            if kind & SPECIAL:
                apart = apart or kind & SPACE != 0
                continue
            alone = kind & CONTINUOUS != 0
            if apart or ((alone or continuous) and not kind & MARK):
                starts[number], paragraph[number] = place, row
                number += 1
            ends[number - 1] = place + 1
            apart, continuous = False, alone
        counts[row] = number - before
    return number


@compiled
def _count_with_letter(
    classes: Classes, starts: Integers, ends: Integers, paragraph: Integers, counts: Integers
) -> None:
    """Count the words with a letter in each paragraph."""
    classes = borrowed(classes)
    for word in range(len(starts)):
        for place in range(starts[word], ends[word]):
            if classes[place] & ALPHA:
                counts[paragraph[word]] += 1
                break


@compiled
def _find_lines(
    classes: Classes, first: Integers, last: Integers, starts: Integers, ends: Integers,
    paragraph: Integers,
) -> int:  # fmt: skip
    """Write start, end and paragraph of each line that is not blank, without white space around it.

    Returns the number of lines.
    """
    classes, starts, ends = borrowed(classes), borrowed(starts), borrowed(ends)
    paragraph = borrowed(paragraph)
    number = 0
    for row in range(len(first)):
        apart = True
        for place in range(first[row], last[row]):
            kind = classes[place]
            apart = apart or kind & NEWLINE != 0
            if not kind & SPACE:
                if apart:
                    starts[number], paragraph[number] = place, row
                    number, apart = number + 1, False
                ends[number - 1] = place + 1
    return number


@compiled
def _count_characters(
    codes: Codes, classes: Classes, first: Integers, last: Integers, counts: Integers
) -> None:
    """Write COUNTED of each paragraph, one row per count."""
    codes, classes, counts = borrowed(codes), borrowed(classes), borrowed(counts)
    for row in range(len(first)):
        special, punctuation, tokens, upper, digits, symbols, word = 0, 0, 0, 0, 0, 0, False
        for place in range(first[row], last[row]):
            kind = classes[place]
            special += kind & SPECIAL != 0
            punctuation += kind & PUNCTUATION != 0
            upper += kind & UPPER != 0
            digits += kind & DIGIT != 0
            symbols += codes[place] == _HASH_SIGN or codes[place] == _ELLIPSIS
            tokens += kind & WORD != 0 and not word
            word = kind & WORD != 0
        counts[0, row], counts[1, row], counts[2, row] = special, punctuation, tokens + punctuation
        counts[3, row], counts[4, row], counts[5, row] = upper, digits, symbols


# Declarations.


def _count_kept_paragraphs(kept: KeptNodes) -> Floats:
    return kept.number(kept.paragraphs.document[kept.kept_paragraphs])


PARAGRAPHS = KeptCount("paragraphs", _count_kept_paragraphs)


def _with_blank_lines(kept: KeptNodes, column: Column) -> Floats:
    """Sum over kept paragraphs, and the characters that join them in a document."""
    return np.asarray(kept.sum(column) + BLANK_LINE_CHARS * np.maximum(kept(PARAGRAPHS) - 1, 0))


def _character_column(name: str, joined: bool = False) -> Column:
    measure = measured_together(count_characters, name)
    return Column(name, "text_node", pa.int32(), measure, _with_blank_lines if joined else None)


def _word_column(name: str) -> Column:
    return Column(name, "text_node", pa.int32(), measured_together(count_words, name))


def _line_ratio(name: str, kind: str, meaning: str, source: str) -> Signal:
    return text_ratio(name, _line_column(kind), LINE_COUNT, meaning, source)


def _line_column(name: str) -> Column:
    return Column(name, "text_node", pa.int32(), measured_together(count_lines, name))


CHARS = _character_column("chars", joined=True)
WORD_COUNT = _word_column("words")
TOKENS = _character_column("tokens")
LINE_COUNT = _line_column("lines")
DUPLICATE = Column("duplicate", "text_node", pa.int8(), find_duplicates)
DUPLICATE_CHARS = Derived(
    "duplicate_chars", (DUPLICATE, CHARS), lambda duplicate, chars: duplicate * chars
)

WORDS = (
    stored(CHARS, "characters", GOPHER, scopes=TEXT),
    stored(WORD_COUNT, "words", OBELICS, scopes=TEXT),
    text_ratio("mean_word_length", _word_column("word_chars"), WORD_COUNT,
               "characters per word", GOPHER),
    text_ratio("alpha_word_ratio", _word_column("alpha_words"), WORD_COUNT,
               "words with a letter", GOPHER),
    text_ratio("special_ratio", _character_column("special", joined=True), CHARS,
               "characters that are white space, digits, punctuation or symbols", OBELICS),
    text_ratio("punctuation_ratio", _character_column("punctuation"), TOKENS,
               "punctuation marks among the tokens", OBELICS),
    stored(TOKENS, "runs of word characters, and single punctuation marks", OBELICS, scopes=TEXT),
    text_ratio("upper_ratio", _character_column("upper"), CHARS, "upper-case letters", OMNICORPUS),
    text_ratio("digit_ratio", _character_column("digits"), CHARS, "decimal digits", OMNICORPUS),
)  # fmt: skip

LINES = (
    stored(DUPLICATE, "1: an earlier paragraph of the page has the same text", GOPHER),
    Signal("duplicate_paragraph_ratio", ("document",), "ratio",
           "paragraphs that occur earlier on the page", GOPHER, DUPLICATE, PARAGRAPHS),
    Signal("duplicate_paragraph_char_ratio", ("document",), "ratio",
           "characters in paragraphs that occur earlier on the page", GOPHER,
           DUPLICATE_CHARS, CHARS),
    stored(LINE_COUNT, "lines that are not blank", C4, scopes=TEXT),
    Signal("line_word_ratio", ("document",), "ratio", "lines per word", FINEWEB,
           LINE_COUNT, WORD_COUNT),
    _line_ratio("terminal_line_ratio", "terminal_lines", "lines that end a sentence", C4),
    _line_ratio("short_line_ratio", "short_lines", "lines of few characters", FINEWEB),
    _line_ratio("bullet_line_ratio", "bullet_lines", "lines that begin with a bullet", GOPHER),
    _line_ratio("ellipsis_line_ratio", "ellipsis_lines", "lines that end with an ellipsis", GOPHER),
    _line_ratio("duplicate_line_ratio", "duplicate_lines",
                "lines that occur earlier on the page", GOPHER),
    text_ratio("duplicate_line_char_ratio", _line_column("duplicate_line_chars"), CHARS,
               "characters in lines that occur earlier on the page", GOPHER),
    text_ratio("symbol_ratio", _character_column("symbols"), WORD_COUNT,
               "hash signs and ellipses per word", GOPHER),
)  # fmt: skip
