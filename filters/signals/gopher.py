"""Repeated n-grams and other page checks of Gopher (Rae et al. 2021, table A1) and C4.

They see a page's text before any node is dropped, as those filters do. Word n-grams stay inside a
paragraph. An n-gram can only be repeated where the n-gram one word shorter at the same place is, so
each size looks only at what the size before left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.common.hashing import Hashes
from benben.filters.declaration import C4, GOPHER, Column, Signal, measured_together, stored
from benben.filters.signals.text import (
    ASCII,
    Batch,
    Codes,
    Integers,
    Marks,
    borrowed_marks,
    make_marks,
    splitmix64,
    stands_at,
)
from benben.filters.signals.wordlists import hash_list
from benben.filters.signals.words import words_of
from benben.pipeline.compiled import borrowed, compiled, count_bits, int64
from benben.pipeline.hash_tables import (
    FREE,
    Table,
    borrowed_table,
    find_row,
    look_up,
    make_table,
    slot_bits,
)

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
GOPHER_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Rae et al. 2021, A1.1
_OPEN, _CLOSE = ord("{"), ord("}")
_PLACEHOLDER = make_marks(("lorem ipsum", "Lorem ipsum", "Lorem Ipsum", "LOREM IPSUM"))


def measure_ngrams(batch: Batch) -> dict[str, NDArray[np.float64]]:
    """Measure the share of the words' characters in the most frequent, or in repeated, n-grams."""
    text, words = batch.text, batch.once(words_of)
    document = text.document[words.paragraph]
    chars = words.ends - words.starts
    first_word = np.searchsorted(document, np.arange(text.documents + 1))
    work = _make_workspace(int(np.diff(first_word).max(initial=0)))
    tops = np.zeros((len(TOP_SIZES), text.documents), np.int64)
    duplicates = np.zeros((len(DUPLICATE_SIZES), text.documents), np.int64)
    sizes = (TOP_SIZES[0], DUPLICATE_SIZES[0], DUPLICATE_SIZES[-1])
    _measure_ngrams(words.hashes, chars, words.paragraph, first_word, work, tops, duplicates, sizes)
    total = np.maximum(np.bincount(document, chars, text.documents), 1)
    return {
        **{f"top_{size}gram_ratio": tops[row] / total for row, size in enumerate(TOP_SIZES)},
        **{
            f"duplicate_{size}gram_ratio": duplicates[row] / total
            for row, size in enumerate(DUPLICATE_SIZES)
        },
    }


def count_stop_words(batch: Batch) -> Integers:
    """Count how many of Gopher's eight words occur in each document."""
    words = batch.once(words_of)
    wanted = hash_list(list(GOPHER_WORDS), batch.tables).by_length[1]
    table = make_table(wanted, np.uint8(1) << np.arange(len(wanted), dtype=np.uint8))
    number = np.zeros(len(batch), np.int64)
    _count_kinds(table, words.hashes, np.searchsorted(words.paragraph, batch.first), number)
    return number


def count_curly_brackets(batch: Batch) -> Integers:
    """Count the curly brackets of each document."""
    return batch.text.of_document(batch.once(_find_code)[0])


def find_placeholder(batch: Batch) -> Integers:
    """Return 1 for documents with placeholder text."""
    return np.minimum(batch.text.of_document(batch.once(_find_code)[1]), 1)


def _find_code(batch: Batch) -> Integers:
    """Count the curly brackets and the placeholder texts of each paragraph, one row each."""
    text = batch.text
    counts = np.zeros((2, len(text)), np.int64)
    _count_code(text.codes, text.starts, text.ends, _PLACEHOLDER, counts)
    return counts


@compiled
def _count_kinds(table: Table, words: Hashes, first: Integers, number: Integers) -> None:
    """Count the different words of a table in each document; `first`: first word of each."""
    table, words = borrowed_table(table), borrowed(words)
    for document in range(len(number)):
        seen = int64(0)
        for word in range(first[document], first[document + 1]):
            seen |= look_up(table, words[word])
        number[document] = count_bits(np.uint64(seen))


@compiled
def _count_code(
    codes: Codes, starts: Integers, ends: Integers, placeholder: Marks, counts: Integers
) -> None:
    """Count curly brackets (first row) and placeholder texts (second) of each paragraph."""
    codes, placeholder = borrowed(codes), borrowed_marks(placeholder)
    for row in range(len(starts)):
        for place in range(starts[row], ends[row]):
            code = codes[place]
            if code in (_OPEN, _CLOSE):
                counts[0, row] += 1
            elif code < ASCII and placeholder.letters[code]:
                counts[1, row] += stands_at(codes, place, starts[row], ends[row], placeholder)


# n-grams of growing size, compiled.


class _Workspace(NamedTuple):
    """Working memory for the n-grams of one document."""

    places: Integers  # first word of each n-gram
    hashes: Hashes
    heads: Integers  # first n-gram of the same words
    counts: Integers  # of each head
    slots: Integers  # hash table of heads


def _make_workspace(number: int) -> _Workspace:
    """Allocate for a document with a number of words."""
    sizes = (number, number, number, number, 1 << slot_bits(number))
    kinds = (np.int64, np.uint64, np.int64, np.int64, np.int64)
    return _Workspace(*(np.empty(size, kind) for size, kind in zip(sizes, kinds, strict=True)))


@compiled
def _lengthen(
    places: Integers, hashes: Hashes, words: Hashes, paragraph: Integers, number: int, last: int
) -> int:
    """Make n-grams one word longer, dropping those that would leave their paragraph.

    `last`: place of the added word in the n-gram. Returns how many are left.
    """
    kept = 0
    for row in range(number):
        ahead = places[row] + last
        if ahead < len(words) and paragraph[places[row]] == paragraph[ahead]:
            hashes[kept] = splitmix64(hashes[row] + words[ahead])
            places[kept] = places[row]
            kept += 1
    return kept


@compiled
def _count_equal(
    hashes: Hashes, heads: Integers, counts: Integers, slots: Integers, number: int
) -> None:
    """Write for each n-gram the first one equal to it, and for that one how many are equal."""
    bits = slot_bits(number)
    slots[: 1 << bits] = FREE
    for row in range(number):
        slot = find_row(slots, bits, hashes, hashes[row])
        if slots[slot] == FREE:
            slots[slot], counts[row] = row, 0
        heads[row] = slots[slot]
        counts[slots[slot]] += 1


@compiled
def _count_most_frequent(
    places: Integers, counts: Integers, heads: Integers, chars: Integers, number: int, size: int
) -> int:
    """Count the characters in all occurrences of the most frequent repeated n-gram.

    Of several equally frequent ones, the longest counts.
    """
    most, longest = 1, 0
    for row in range(number):
        if heads[row] == row and counts[row] >= most and counts[row] > 1:
            here = chars[places[row] : places[row] + size].sum()
            if counts[row] > most or here > longest:
                most, longest = counts[row], here
    return most * longest


@compiled
def _keep_repeated(
    places: Integers, hashes: Hashes, heads: Integers, counts: Integers, number: int
) -> int:
    """Keep the n-grams that occur more than once; return how many occurrences those are."""
    kept = 0
    for row in range(number):
        if counts[heads[row]] > 1:
            places[kept], hashes[kept] = places[row], hashes[row]
            kept += 1
    return kept


@compiled
def _count_covered(places: Integers, chars: Integers, number: int, size: int) -> int:
    """Count the characters of the words inside any of the n-grams, each word once."""
    total, end = 0, 0
    for row in range(number):
        for word in range(max(places[row], end), places[row] + size):
            total += chars[word]
        end = places[row] + size
    return total


@compiled
def _measure_ngrams(
    words: Hashes, chars: Integers, paragraph: Integers, first_word: Integers, work: _Workspace,
    tops: Integers, duplicates: Integers, sizes: tuple[int, int, int],
) -> None:  # fmt: skip
    """Write `tops` and `duplicates`: characters by n-gram size and document.

    `words`: hash of each word; `chars`: its characters; `first_word`: first word of each document,
    and the end; `sizes`: the smallest n-gram of tops, the smallest and the largest of duplicates.
    """
    words, chars, paragraph = borrowed(words), borrowed(chars), borrowed(paragraph)
    places, hashes, heads = borrowed(work.places), borrowed(work.hashes), borrowed(work.heads)
    counts, slots = borrowed(work.counts), borrowed(work.slots)
    for document in range(len(first_word) - 1):
        begin, number = first_word[document], first_word[document + 1] - first_word[document]
        for row in range(number):
            places[row], hashes[row] = begin + row, splitmix64(words[begin + row])
        for size in range(sizes[0], sizes[2] + 1):
            number = _lengthen(places, hashes, words, paragraph, number, size - 1)
            _count_equal(hashes, heads, counts, slots, number)
            if size < sizes[1]:
                top = _count_most_frequent(places, counts, heads, chars, number, size)
                tops[size - sizes[0], document] = top
            number = _keep_repeated(places, hashes, heads, counts, number)
            if size >= sizes[1]:
                duplicates[size - sizes[1], document] = _count_covered(places, chars, number, size)


# Declarations.


def _ngram_ratio(name: str, meaning: str) -> Signal:
    column = Column(name, "document", pa.float32(), measured_together(measure_ngrams, name))
    return stored(column, meaning, GOPHER, "ratio")


SIGNALS = (
    *(_ngram_ratio(f"top_{size}gram_ratio",
                   f"characters in the most frequent repeated {size}-gram of words")
      for size in TOP_SIZES),
    *(_ngram_ratio(f"duplicate_{size}gram_ratio", f"characters in repeated {size}-grams of words")
      for size in DUPLICATE_SIZES),
    stored(Column("gopher_stop_words", "document", pa.int8(), count_stop_words),
           "how many of Gopher's eight English words occur", GOPHER),
    stored(Column("curly_brackets", "document", pa.int32(), count_curly_brackets),
           "curly brackets on the page", C4),
    stored(Column("lorem_ipsum", "document", pa.int8(), find_placeholder),
           "1: the page has placeholder text", C4),
)  # fmt: skip
