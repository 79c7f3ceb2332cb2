"""Repeated n-grams of each document, found with small tables of counts; compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters.signals.characters import mix
from benben.filters.signals.paragraphs import Integers, Paragraphs
from benben.filters.signals.scan import Hashes, mixed
from benben.filters.signals.text import Words
from benben.pipeline import signal_schema
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


def table_room(number: int) -> Room:
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


# FOLD-IN Repeated n-grams: within paragraphs and, whatever of them is kept, within documents.
#
# OBELICS counts character 10-grams and word 5-grams in a paragraph and in the whole document. The
# document's count depends on the paragraphs kept, and is no sum of theirs. So repeated n-grams are
# stored as a profile: n-grams that lie in the same paragraphs are one entry with a multiplicity.
# n-grams do not cross paragraphs here (OBELICS's document text joins them).


CHARACTERS, WORDS = 10, 5  # OBELICS's n-gram sizes


@dataclass(slots=True)
class Grams:
    """Occurrences of n-grams that are repeated in their document, sorted by `key`."""

    gram: NDArray[np.uint64]  # document (12 bits) and hash (36 bits)
    paragraph: Integers  # row of the paragraph


def _repeated(key: NDArray[np.uint64], first: Integers) -> Grams:
    """Occurrences of n-grams that occur again in the same document, of keys (see `grams.key_of`).

    `first` is the row of each document's first paragraph.
    """
    key = np.sort(key)
    gram = key >> np.uint64(16)
    same = gram[1:] == gram[:-1]
    twice = np.zeros(len(gram), np.bool_)
    twice[1:] |= same
    twice[:-1] |= same
    key, gram = key[twice], gram[twice]
    rows = first[(gram >> np.uint64(36)).astype(np.int64)] + (key & np.uint64(0xFFFF)).astype(
        np.int64
    )
    return Grams(gram, rows)


def character_grams(text: Paragraphs, first: Integers) -> Grams:
    """Repeated character 10-grams."""
    lengths = np.maximum(text.ends - text.starts - CHARACTERS + 1, 0)
    room = table_room(int(text.of_document(lengths).max(initial=0)))
    found = np.empty(int(lengths.sum()), np.uint64)
    number = character_keys(
        text.hashes, text.powers(), text.starts, lengths, first, CHARACTERS, room, found
    )
    return _repeated(found[:number], first)


def word_grams(text: Paragraphs, words: Words, first: Integers) -> Grams:
    """Repeated word 5-grams."""
    first_word = np.searchsorted(words.paragraph, first)
    room = table_room(int(np.diff(first_word).max(initial=0)))
    found = np.empty(len(words.hashes), np.uint64)
    number = word_keys(words.hashes, words.paragraph, first_word, first, WORDS, room, found)
    return _repeated(found[:number], first)


def _ranges(starts: Integers, lengths: Integers) -> Integers:
    """Concatenate start, start + 1, ... for each length."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - lengths), lengths))


def all_in_paragraph(grams: Grams, paragraphs: int) -> Integers:
    """Occurrences of n-grams that occur more than once in the paragraph."""
    _, rows, counts = _runs(grams)
    often = counts > 1
    return np.bincount(rows[often], counts[often], paragraphs).astype(np.int64)


def most_in_paragraph(grams: Grams, totals: Integers) -> Integers:
    """Occurrences of the paragraph's most frequent n-grams (OBELICS's character repetition).

    Counted are the k most frequent, k = min(floor(sqrt(distinct)), those that occur again).
    `totals` is the number of n-grams of each paragraph.
    """
    _, rows, counts = _runs(grams)
    often = counts > 1
    rows, counts = rows[often], counts[often]
    distinct = totals - np.bincount(rows, counts - 1, len(totals)).astype(np.int64)
    return sum_of_most(rows, counts, np.ones_like(counts), distinct)


def sum_of_most(
    owner: Integers, counts: Integers, number: Integers, distinct: Integers
) -> Integers:
    """Sum the floor(sqrt(distinct)) largest counts of each owner; `number` n-grams have each."""
    order = np.lexsort((-counts, owner))
    owner, counts, number = owner[order], counts[order], number[order]
    limit = np.sqrt(distinct).astype(np.int64)[owner]
    running = np.cumsum(number) - number
    begin = np.searchsorted(owner, np.arange(len(distinct)))
    running = running - np.append(running, 0)[np.minimum(begin, len(running))][owner]
    taken = np.clip(limit - running, 0, number)
    return np.bincount(owner, taken * counts, len(distinct)).astype(np.int64)


def _runs(grams: Grams) -> tuple[NDArray[np.uint64], Integers, Integers]:
    """Distinct (n-gram, paragraph) pairs and how often each occurs."""
    change = np.ones(len(grams.gram), np.bool_)
    change[1:] = (grams.gram[1:] != grams.gram[:-1]) | (grams.paragraph[1:] != grams.paragraph[:-1])
    starts = np.flatnonzero(change)
    counts = np.diff(np.append(starts, len(change)))
    return grams.gram[starts], grams.paragraph[starts], counts


@dataclass(slots=True)
class Profile:
    """Patterns of repeated n-grams: `size`, `grams` and the paragraphs of each."""

    document: Integers
    size: int
    grams: Integers
    lengths: Integers  # paragraphs of each pattern
    places: Integers  # their positions in the document, concatenated


def profile(grams: Grams, size: int, first: Integers) -> Profile:
    """Join n-grams that occur in the same paragraphs equally often."""
    begin = np.flatnonzero(np.append(True, grams.gram[1:] != grams.gram[:-1])[: len(grams.gram)])
    lengths = np.diff(np.append(begin, len(grams.gram)))
    # the pattern's hash: paragraphs are sorted in a gram, so equal patterns are equal sums
    pattern = np.zeros(len(begin), np.uint64)
    if len(begin):
        pattern = np.add.reduceat(mix(grams.paragraph.astype(np.uint64)), begin)
    _, representative, multiplicity = np.unique(pattern, return_index=True, return_counts=True)
    order = np.argsort(representative)
    chosen, multiplicity = representative[order], multiplicity[order]
    chosen_lengths = lengths[chosen]
    rows = grams.paragraph[_ranges(begin[chosen], chosen_lengths)]
    document = (grams.gram[begin[chosen]] >> np.uint64(36)).astype(np.int64)
    places = rows - np.repeat(first[document], chosen_lengths)
    return Profile(document, size, multiplicity, chosen_lengths, places)


def to_arrow(profiles: list[Profile], documents: int) -> pa.ListArray:
    """Profiles as the column `repeats`."""
    document = np.concatenate([one.document for one in profiles])
    lengths = np.concatenate([one.lengths for one in profiles])
    places = np.concatenate([one.places for one in profiles])
    sizes = np.concatenate([np.full(len(one.grams), one.size) for one in profiles])
    grams = np.concatenate([one.grams for one in profiles])
    order = np.argsort(document, kind="stable")
    begins = np.cumsum(lengths) - lengths
    taken = _ranges(begins[order], lengths[order])
    offsets = np.append(0, np.cumsum(lengths[order])).astype(np.int32)
    inner = pa.ListArray.from_arrays(offsets, pa.array(places[taken], pa.int32()))
    entries = pa.StructArray.from_arrays(
        [pa.array(sizes[order], pa.int8()), pa.array(grams[order], pa.int32()), inner],
        fields=list(signal_schema.REPEAT),
    )
    bounds = np.searchsorted(document[order], np.arange(documents + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(bounds, entries)
