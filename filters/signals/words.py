"""Characters, words and lines of paragraphs.

White space separates words; special characters at their ends do not count (OBELICS). Scripts
without spaces have no cheap word boundary, so each of their characters (with its combining marks)
is one word, which is Unicode's default segmentation of Han (UAX 29).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

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
    Mask,
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
from benben.pipeline.hash_tables import FREE, find_row, slot_bits

COUNTED = ("special", "punctuation", "tokens", "upper", "digits", "symbols")
LINES_COUNTED = (
    "lines", "terminal_lines", "short_lines", "bullet_lines", "ellipsis_lines", "duplicate_lines",
    "duplicate_line_chars",
)  # fmt: skip
BLANK_LINE_CHARS = 2  # OBELICS's document text has the two newlines between paragraphs
_HASH_SIGN, _ELLIPSIS, _DOT = ord("#"), ord("…"), ord(".")


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
    chars, alpha = np.zeros(len(text), np.int64), np.zeros(len(text), np.int64)
    _count_in_words(text.classes, found.starts, found.ends, found.paragraph, chars, alpha)
    return {"words": found.counts, "word_chars": chars, "alpha_words": alpha}


def count_lines(batch: Batch) -> dict[str, Integers]:
    """Count lines that are not blank, by kind (C4, Gopher, FineWeb)."""
    text, settings = batch.text, batch.settings
    starts, ends, paragraph = _lines(text)
    repeated = _earlier(text.window_hashes(starts, ends), np.searchsorted(paragraph, batch.first))
    bullets = np.array([ord(mark) for mark in set(settings.bullets)], np.uint32)
    counts = np.zeros((len(LINES_COUNTED), len(text)), np.int64)
    _count_lines(
        text.codes, text.classes, starts, ends, paragraph, repeated, bullets, settings.short_line,
        counts,
    )  # fmt: skip
    return dict(zip(LINES_COUNTED, counts, strict=True))


def find_duplicates(batch: Batch) -> Integers:
    """Return 1 for paragraphs whose text an earlier paragraph of the same document has."""
    hashes = batch.text.window_hashes(batch.text.starts, batch.text.ends)
    return _earlier(hashes, batch.first).astype(np.int64)


def _lines(text: Paragraphs) -> tuple[Integers, Integers, Integers]:
    """Start, end and paragraph of each line, without the white space at its ends."""
    starts, ends, paragraph = (np.empty(len(text.classes), np.int64) for _ in range(3))
    number = _find_lines(text.classes, text.starts, text.ends, starts, ends, paragraph)
    return starts[:number], ends[:number], paragraph[:number]


def _earlier(hashes: Hashes, first: Integers) -> Mask:
    """True where the same hash occurs earlier in the same document.

    `first`: first hash of each document, and the end.
    """
    same = np.empty(len(hashes), np.bool_)
    slots = np.empty(1 << slot_bits(int(np.diff(first).max(initial=0))), np.int64)
    _mark_earlier(hashes, first, slots, same)
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
def _count_in_words(
    classes: Classes, starts: Integers, ends: Integers, paragraph: Integers, chars: Integers,
    alpha: Integers,
) -> None:  # fmt: skip
    """Add up the characters of each paragraph's words, and its words with a letter."""
    classes = borrowed(classes)
    for word in range(len(starts)):
        chars[paragraph[word]] += ends[word] - starts[word]
        for place in range(starts[word], ends[word]):
            if classes[place] & ALPHA:
                alpha[paragraph[word]] += 1
                break


@compiled
def _mark_earlier(hashes: Hashes, first: Integers, slots: Integers, same: Mask) -> None:
    """Mark the hashes that occur earlier in their document; `slots`: working memory."""
    hashes, slots, same = borrowed(hashes), borrowed(slots), borrowed(same)
    for document in range(len(first) - 1):
        bits = slot_bits(first[document + 1] - first[document])
        slots[: 1 << bits] = FREE
        for row in range(first[document], first[document + 1]):
            slot = find_row(slots, bits, hashes, hashes[row])
            same[row] = slots[slot] != FREE
            if slots[slot] == FREE:
                slots[slot] = row


@compiled
def _count_lines(
    codes: Codes, classes: Classes, starts: Integers, ends: Integers, paragraph: Integers,
    repeated: Mask, bullets: Codes, short: int, counts: Integers,
) -> None:  # fmt: skip
    """Add up LINES_COUNTED of each paragraph, one row per count."""
    codes, classes, counts = borrowed(codes), borrowed(classes), borrowed(counts)
    for line in range(len(starts)):
        start, end, row = starts[line], ends[line], paragraph[line]
        last = codes[end - 1]
        dots = end - start >= 3 and last == _DOT and codes[end - 3] == _DOT
        ellipsis = last == _ELLIPSIS or dots
        counts[0, row] += 1
        counts[1, row] += classes[end - 1] & TERMINAL != 0 and not ellipsis
        counts[2, row] += end - start < short
        for mark in bullets:
            counts[3, row] += codes[start] == mark
        counts[4, row] += ellipsis
        if repeated[line]:
            counts[5, row] += 1
            counts[6, row] += end - start


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
