"""Repeated n-grams of each document, found with small tables of counts; compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benben.filters.scan import Hashes, Integers, mixed
from benben.pipeline.compiled import borrowed, compiled

_ROOM = 4  # slots of a table, at least, for each n-gram
_DOCUMENT, _HASH, _PLACE, _BITS = (np.uint64(one) for one in (52, 28, 16, 64))
_MOST_PLACES = 0xFFFF


class Room(NamedTuple):
    """What the n-grams of one document are worked on in."""

    hashes: Hashes
    keys: Hashes
    seen: NDArray[np.uint8]


@compiled
def slot_bits(number: int) -> int:
    """Bits of a slot of a table with room for a number of n-grams."""
    bits = 6
    while (1 << bits) < _ROOM * number:
        bits += 1
    return bits


def room(number: int) -> Room:
    """Room for a number of n-grams."""
    slots = np.empty(1 << slot_bits(number), np.uint8)
    return Room(np.empty(number, np.uint64), np.empty(number, np.uint64), slots)


@compiled
def keep_crowded(
    hashes: Hashes, keys: Hashes, seen: NDArray[np.uint8], number: int, above: int
) -> int:
    """Keep, of so many n-grams, those that may occur again; their new number.

    Looks at some bits of the hashes: as many of the highest, but for `above` of them, as a table
    small enough for the cache has.
    """
    bits = slot_bits(number)
    up, down = np.uint64(above), np.uint64(64 - bits)
    seen[: 1 << bits] = 0
    for row in range(number):
        slot = np.int64((hashes[row] << up) >> down)
        seen[slot] = min(seen[slot] + 1, 2)
    kept = 0
    for row in range(number):
        if seen[np.int64((hashes[row] << up) >> down)] > 1:
            hashes[kept], keys[kept] = hashes[row], keys[row]
            kept += 1
    return kept


@compiled
def keep_repeated(
    hashes: Hashes, keys: Hashes, seen: NDArray[np.uint8], number: int, found: Hashes, end: int
) -> int:
    """Append the keys of the n-grams that may be repeated to `found`: its new end."""
    left = keep_crowded(hashes, keys, seen, number, 0)
    left = keep_crowded(hashes, keys, seen, left, slot_bits(number))
    for row in range(left):
        found[end + row] = keys[row]
    return end + left


@compiled
def key_of(value: np.uint64, document: int, place: int) -> np.uint64:
    """Document (12 bits), hash (36 bits) and paragraph in the document (16 bits)."""
    found = (np.uint64(document) << _DOCUMENT) | ((value >> _HASH) << _PLACE)
    return found | np.uint64(min(place, _MOST_PLACES))


@compiled
def character_keys(
    running: Hashes, powers: Hashes, starts: Integers, lengths: Integers, first: Integers,
    size: int, room: Room, found: Hashes,
) -> int:  # fmt: skip
    """Write the keys of character n-grams that may be repeated in their document: their number.

    `running`, `powers`: see `Paragraphs.window_hashes`; `lengths`: n-grams of each paragraph;
    `first`: each document's first paragraph, and the end.
    """
    running, powers, found = borrowed(running), borrowed(powers), borrowed(found)
    hashes, keys, seen = borrowed(room.hashes), borrowed(room.keys), borrowed(room.seen)
    end = 0
    for document in range(len(first) - 1):
        number = 0
        for row in range(first[document], first[document + 1]):
            for start in range(starts[row], starts[row] + lengths[row]):
                value = (running[start + size] - running[start]) * powers[start]
                hashes[number] = value
                keys[number] = key_of(value, document, row - first[document])
                number += 1
        end = keep_repeated(hashes, keys, seen, number, found, end)
    return end


@compiled
def word_keys(
    words: Hashes, paragraph: Integers, first_word: Integers, first: Integers, size: int,
    room: Room, found: Hashes,
) -> int:  # fmt: skip
    """As `character_keys`, of word n-grams inside a paragraph.

    `words`: hash of each; `first_word`: each document's first word, and the end.
    """
    words, paragraph, found = borrowed(words), borrowed(paragraph), borrowed(found)
    hashes, keys, seen = borrowed(room.hashes), borrowed(room.keys), borrowed(room.seen)
    end = 0
    for document in range(len(first) - 1):
        number = 0
        for word in range(first_word[document], first_word[document + 1] - size + 1):
            if paragraph[word] == paragraph[word + size - 1]:
                value = np.uint64(0)
                for other in range(word, word + size):
                    value = mixed(value + words[other])
                hashes[number] = value
                keys[number] = key_of(value, document, paragraph[word] - first[document])
                number += 1
        end = keep_repeated(hashes, keys, seen, number, found, end)
    return end
