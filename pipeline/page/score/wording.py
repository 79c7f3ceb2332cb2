"""The words of the blocks: how much they sound like main content, and what the page says twice.

A word is a run of letters, or two neighbouring letters of a script without spaces. How a text
sounds is the sum of learnt weights of its words and pairs of words: weights of words that stand in
the main text of many domains are positive, those of words such as "subscribe" are negative. A text
is said before if earlier blocks hold its runs of words, such as the teaser of an article below it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benben.pipeline.compiled import Bytes, Floats, Integers, borrowed, called, compiled, int64
from benben.pipeline.hash_tables import (
    Table,
    find_slot,
    look_up,
    make_table,
    slot_bits,
)
from benben.pipeline.page.dom.columns import CHARS, ELEMENT, END, FIRST, PARENT, START, STOP

READ = 300  # bytes of a text whose words are read
_MOST = 1 << 17  # words of a page that are read
SCALE = 1024  # weights of words are whole numbers: a weight of 1 is stored as this
NEAR = (1, 3, 8)  # blocks to each side
UP = 3  # elements around
WORDING = (
    "wording", *(f"wording_near{size}" for size in NEAR), "wording_page",
    *(f"wording_up{level + 1}" for level in range(UP)),
)  # fmt: skip
SAID = ("said_before", "said_after")
_RUN = 4  # words that two texts have in common
_SEED, _PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a


class Words(NamedTuple):
    """Keys of the words of a page's blocks."""

    keys: Integers
    starts: Integers  # row of the first word of each block, and the number of words


NO_WEIGHTS = make_table(np.zeros(0, np.int64), np.zeros(0, np.int16))


@compiled
def read_words(blocks: Integers, text: Bytes) -> Words:
    """Read the words at the beginning of each block, until a page has given its share."""
    size, room = len(blocks), int64(0)
    for number in range(size):
        room += min(blocks[number, STOP] - blocks[number, START], READ) // 2 + 1
    keys, starts = np.empty(min(room, _MOST), np.int64), np.zeros(size + 1, np.int64)
    out, known = borrowed(keys), int64(0)
    for number in range(size):
        start = blocks[number, START]
        part = text[start : min(blocks[number, STOP], start + READ)]
        known += _read(part, out[known:])
        starts[number + 1] = known
    return Words(keys[:known], starts)


@compiled
def _read(text: Bytes, keys: Integers) -> int:
    """Write the keys of a text's words until there is no more room; return their number."""
    number, size = int64(0), len(text)
    word, letters, before = np.uint64(_SEED), 0, -1  # `before`: where the letter before begins
    place = 0
    while place <= size and number < len(keys):
        byte = int64(text[place]) if place < size else 32
        step = 1
        if 0xE3 <= byte <= 0xED and place + 3 <= size:  # a letter of a script without spaces
            step = 3
            if before >= 0:
                keys[number] = _pair(text, before)
                number += 1
            before = place
        else:
            before = -1
        letter = byte + 32 if 65 <= byte <= 90 else byte
        if step == 1 and (97 <= letter <= 122 or byte >= 0x80):
            word = (word ^ np.uint64(letter)) * np.uint64(_PRIME)
            letters += 1
        elif letters and number < len(keys):
            keys[number] = int64(word | np.uint64(1))
            number += 1
            word, letters = np.uint64(_SEED), 0
        place += step
    return number


@compiled
def _pair(text: Bytes, place: int) -> int:
    """Hash two letters of three bytes each."""
    word = np.uint64(_SEED)
    for byte in range(place, place + 6):
        word = (word ^ np.uint64(text[byte])) * np.uint64(_PRIME)
    return int64(word | np.uint64(1))


@compiled
def pair_key(first: int, second: int) -> int:
    """Key of two neighbouring words."""
    return int64((first * 31 + second) | 1)  # may overflow


@called
def write_wording(
    rows: Floats, first: int, elements: Integers, blocks: Integers, words: Words, weights: Table
) -> None:
    """Write how each block, the blocks near it and the elements around it sound."""
    size = len(rows)
    chars, sums = np.zeros(size + 1), np.zeros(size + 1)
    for number in range(size):
        own = sound(words.keys[words.starts[number] : words.starts[number + 1]], weights)
        share = np.sqrt(np.float64(blocks[number, CHARS]))
        chars[number + 1], sums[number + 1] = chars[number] + share, sums[number] + share * own
        rows[number, first] = own
    for number in range(size):
        row, column = rows[number], first + 1
        for place in range(len(NEAR)):
            low, high = max(number - NEAR[place], 0), min(number + NEAR[place] + 1, size)
            row[column] = _mean(sums, chars, low, high)
            column += 1
        row[column] = _mean(sums, chars, 0, size)
        element = blocks[number, ELEMENT]
        for level in range(UP):
            element = elements[element, PARENT]
            low, high = elements[element, FIRST], elements[element, END]
            row[column + 1 + level] = _mean(sums, chars, low, high)


@compiled
def _mean(sums: Floats, chars: Floats, low: int, high: int) -> float:
    return float((sums[high] - sums[low]) / (chars[high] - chars[low] + 0.01))


@compiled
def sound(keys: Integers, weights: Table) -> float:
    """Sum of the weights of words and of pairs, over the root of their number."""
    total = int64(0)
    for place in range(len(keys)):
        total += look_up(weights, keys[place])
        if place:
            total += look_up(weights, pair_key(keys[place - 1], keys[place]))
    number = max(1, 2 * len(keys) - 1)
    return float(total / (SCALE * np.sqrt(number)))


@called
def write_said(rows: Floats, first: int, words: Words) -> None:
    """Write which share of the runs of words of each block earlier and later blocks hold."""
    size = len(rows)
    bits = slot_bits(len(words.keys))
    runs_known, firsts = np.zeros(1 << bits, np.int64), np.zeros(1 << bits, np.int64)
    lasts = np.zeros(1 << bits, np.int64)
    known = Table(borrowed(runs_known), borrowed(firsts), bits)
    for number in range(size):
        for place in range(words.starts[number], words.starts[number + 1] - _RUN + 1):
            key = _run_key(words.keys, place)
            slot = find_slot(known, key)
            if not known.keys[slot]:
                known.keys[slot], known.values[slot] = key, number
            lasts[slot] = number
    for number in range(size):
        runs = before = after = 0
        for place in range(words.starts[number], words.starts[number + 1] - _RUN + 1):
            slot = find_slot(known, _run_key(words.keys, place))
            runs += 1
            before += known.values[slot] < number
            after += lasts[slot] > number
        rows[number, first], rows[number, first + 1] = before / max(1, runs), after / max(1, runs)


@compiled
def _run_key(keys: Integers, place: int) -> int:
    key = keys[place]
    for other in range(place + 1, place + _RUN):
        key = int64(key * 31 + keys[other])  # may overflow
    return int64(key | 1)
