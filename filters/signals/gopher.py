"""Word n-grams of growing size in each document: the most frequent, and all repeated; compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benben.filters.signals.paragraphs import Paragraphs
from benben.filters.signals.repetition import slot_bits
from benben.filters.signals.scan import Hashes, Integers, mixed
from benben.filters.signals.text import Words
from benben.pipeline.compiled import borrowed, compiled


class Room(NamedTuple):
    """What the n-grams of one document are worked on in."""

    places: Integers  # first word of each n-gram
    hashes: Hashes
    heads: Integers  # first n-gram of the same words
    counts: Integers  # of each head
    slots: Integers  # table of heads


def table_room(number: int) -> Room:
    """Room for a number of words."""
    sizes = (number, number, number, number, 1 << slot_bits(number))
    kinds = (np.int64, np.uint64, np.int64, np.int64, np.int64)
    return Room(*(np.empty(size, kind) for size, kind in zip(sizes, kinds, strict=True)))


@compiled
def lengthen(
    places: Integers, hashes: Hashes, words: Hashes, paragraph: Integers, number: int, last: int
) -> int:
    """Make n-grams a word longer, up to the word `last`; those that stay in their paragraph."""
    kept = 0
    for row in range(number):
        ahead = places[row] + last
        if ahead < len(words) and paragraph[places[row]] == paragraph[ahead]:
            hashes[kept] = mixed(hashes[row] + words[ahead])
            places[kept] = places[row]
            kept += 1
    return kept


@compiled
def count_equal(
    hashes: Hashes, heads: Integers, counts: Integers, slots: Integers, number: int
) -> None:
    """Find the first n-gram equal to each, and how many are."""
    bits = slot_bits(number)
    down, mask = np.uint64(64 - bits), (1 << bits) - 1
    slots[: 1 << bits] = -1
    for row in range(number):
        slot = np.int64(hashes[row] >> down)
        while slots[slot] >= 0 and hashes[slots[slot]] != hashes[row]:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot], counts[row] = row, 0
        heads[row] = slots[slot]
        counts[slots[slot]] += 1


@compiled
def most_frequent(
    places: Integers, counts: Integers, heads: Integers, chars: Integers, number: int, size: int
) -> int:
    """Characters in the most frequent repeated n-gram; of several, the longest."""
    most, longest = 1, 0
    for row in range(number):
        if heads[row] == row and counts[row] >= most and counts[row] > 1:
            here = chars[places[row] : places[row] + size].sum()
            if counts[row] > most or here > longest:
                most, longest = counts[row], here
    return most * longest


@compiled
def keep_repeated(
    places: Integers, hashes: Hashes, heads: Integers, counts: Integers, number: int
) -> int:
    """Keep the n-grams that occur again."""
    kept = 0
    for row in range(number):
        if counts[heads[row]] > 1:
            places[kept], hashes[kept] = places[row], hashes[row]
            kept += 1
    return kept


@compiled
def covered(places: Integers, chars: Integers, number: int, size: int) -> int:
    """Characters of the words inside any of the n-grams, each counted once."""
    total, end = 0, 0
    for row in range(number):
        for word in range(max(places[row], end), places[row] + size):
            total += chars[word]
        end = places[row] + size
    return total


@compiled
def measure(
    words: Hashes, chars: Integers, paragraph: Integers, first_word: Integers, room: Room,
    tops: Integers, duplicates: Integers, sizes: tuple[int, int, int],
) -> None:  # fmt: skip
    """Write `tops` and `duplicates`: characters by n-gram size and document.

    `words`: hash of each, `chars` its characters; `first_word`: each document's first, and the
    end; `sizes`: the smallest n-gram of tops, the smallest and the largest of duplicates.
    """
    words, chars, paragraph = borrowed(words), borrowed(chars), borrowed(paragraph)
    places, hashes, heads = borrowed(room.places), borrowed(room.hashes), borrowed(room.heads)
    counts, slots = borrowed(room.counts), borrowed(room.slots)
    for document in range(len(first_word) - 1):
        begin, number = first_word[document], first_word[document + 1] - first_word[document]
        for row in range(number):
            places[row], hashes[row] = begin + row, mixed(words[begin + row])
        for size in range(sizes[0], sizes[2] + 1):
            number = lengthen(places, hashes, words, paragraph, number, size - 1)
            count_equal(hashes, heads, counts, slots, number)
            if size < sizes[1]:
                top = most_frequent(places, counts, heads, chars, number, size)
                tops[size - sizes[0], document] = top
            number = keep_repeated(places, hashes, heads, counts, number)
            if size >= sizes[1]:
                duplicates[size - sizes[1], document] = covered(places, chars, number, size)


# FOLD-IN Repetition and presence signals of Gopher (Rae et al. 2021, table A1) and C4, over a
# whole page.
#
# They see the page's text before nodes are dropped, as those filters do. n-grams stay inside a
# paragraph. An n-gram can only be repeated where the shorter one at the same place is, so each size
# looks at what the size before left.


TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)


def signals(text: Paragraphs, words: Words) -> dict[str, NDArray[np.float64]]:
    """Share of the words' characters in the most frequent, or in all repeated, n-grams."""
    document = text.document[words.paragraph]
    chars = words.ends - words.starts
    first_word = np.searchsorted(document, np.arange(text.documents + 1))
    room = table_room(int(np.diff(first_word).max(initial=0)))
    tops = np.zeros((len(TOP_SIZES), text.documents), np.int64)
    duplicates = np.zeros((len(DUPLICATE_SIZES), text.documents), np.int64)
    sizes = (TOP_SIZES[0], DUPLICATE_SIZES[0], DUPLICATE_SIZES[-1])
    measure(words.hashes, chars, words.paragraph, first_word, room, tops, duplicates, sizes)
    total = np.maximum(np.bincount(document, chars, text.documents), 1)
    return {
        **{f"top_{size}gram_ratio": tops[row] / total for row, size in enumerate(TOP_SIZES)},
        **{
            f"duplicate_{size}gram_ratio": duplicates[row] / total
            for row, size in enumerate(DUPLICATE_SIZES)
        },
    }
