"""Repeated n-grams: within paragraphs and, whatever paragraphs are kept, within documents.

OBELICS counts character 10-grams and word 5-grams in a paragraph and in the whole document. The
document's count depends on which paragraphs are kept and is not the sum of theirs. So repeated
n-grams are stored as a profile, the column `repeats`: n-grams that lie in the same paragraphs are
one entry with their number. n-grams do not cross paragraphs here (in OBELICS's document text they
do).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.common.hashing import Hashes
from benben.filters.declaration import (
    OBELICS,
    Column,
    Derived,
    Floats,
    KeptNodes,
    Mask,
    Nested,
    text_ratio,
)
from benben.filters.signals.text import Batch, Integers, splitmix64
from benben.filters.signals.words import CHARS, WORD_COUNT, words_of
from benben.pipeline.compiled import borrowed, compiled, int64
from benben.pipeline.hash_tables import FREE, find_row, slot_bits

CHARACTERS, WORDS = 10, 5  # OBELICS's n-gram sizes
# Repeated n-grams that lie in the same paragraphs are one entry: enough to count repetition exactly
# whatever paragraphs are kept, without their text.
REPEAT = pa.struct(
    [
        ("size", pa.int8()),  # 10: characters, 5: words
        ("grams", pa.int32()),  # distinct n-grams with these paragraphs
        ("paragraphs", pa.list_(pa.int32())),  # places in `paragraphs`, one per occurrence
    ]
)
_DOCUMENT, _HASH, _PLACE = (np.uint64(one) for one in (52, 28, 16))
_MOST_PLACES = 0xFFFF
_IN_PLACE = np.uint64(_MOST_PLACES)
_LOW, _MOST_COUNT = np.uint64(32), np.uint64(0xFFFF_FFFF)


def count_repeated_characters(batch: Batch) -> Integers:
    """Count the occurrences of each paragraph's most frequent character 10-grams (OBELICS).

    These are the k most frequent, where k = min(floor(sqrt(distinct)), those that occur again).
    """
    totals = _character_gram_counts(batch.text.ends - batch.text.starts)
    found, sums = batch.once(_character_grams), np.zeros(len(totals), np.int64)
    _add_most(np.sort(found.repeated), totals, sums)
    return sums


def count_repeated_words(batch: Batch) -> Integers:
    """Count the occurrences of each paragraph's repeated word 5-grams."""
    repeated = batch.once(_word_grams).repeated
    rows, counts = (repeated >> _LOW).astype(np.int64), _MOST_COUNT - (repeated & _MOST_COUNT)
    return np.bincount(rows, counts, len(batch.text)).astype(np.int64)


def profile_repeats(batch: Batch) -> pa.ListArray:
    """Measure the column `repeats`."""
    return _to_arrow([batch.once(_character_grams), batch.once(_word_grams)], len(batch))


def _character_gram_counts(chars: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.maximum(chars - CHARACTERS + 1, 0))


def _word_gram_counts(words: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.maximum(words - WORDS + 1, 0))


@dataclass(slots=True)
class Grams:
    """The n-grams of one size that are repeated in their document.

    Those that lie equally often in the same paragraphs are one entry.
    """

    size: int
    document: Integers  # of each entry
    grams: Integers  # number of n-grams of each entry
    lengths: Integers  # number of paragraphs of each entry
    places: Integers  # places of those paragraphs in the document, concatenated
    repeated: Hashes  # one for each n-gram repeated in a paragraph: see `_pack_repeated`


def _character_grams(batch: Batch) -> Grams:
    """Find the repeated character 10-grams."""
    text = batch.text
    lengths = _character_gram_counts(text.ends - text.starts)
    work = _make_workspace(int(text.of_document(lengths).max(initial=0)))
    found, ends = np.empty(int(lengths.sum()), np.uint64), np.empty(len(batch), np.int64)
    _character_keys(
        text.hashes, text.powers(), text.starts, lengths, batch.first, CHARACTERS, work, found, ends
    )
    return _grouped(CHARACTERS, found, ends, batch.first)


def _word_grams(batch: Batch) -> Grams:
    """Find the repeated word 5-grams."""
    words = batch.once(words_of)
    first_word = np.searchsorted(words.paragraph, batch.first)
    work = _make_workspace(int(np.diff(first_word).max(initial=0)))
    found, ends = np.empty(len(words.hashes), np.uint64), np.empty(len(batch), np.int64)
    _word_keys(words.hashes, words.paragraph, first_word, batch.first, WORDS, work, found, ends)
    return _grouped(WORDS, found, ends, batch.first)


def _grouped(size: int, keys: Hashes, ends: Integers, first: Integers) -> Grams:
    """Group n-grams by their keys (see `_key_of`); `ends`: end of each document's keys.

    `first`: row of each document's first paragraph, and the end.
    """
    for begin, end in pairwise([0, *ends.tolist()]):
        keys[begin:end].sort()
    number = int(ends[-1]) if len(ends) else 0
    longest = int(np.diff(ends, prepend=0).max(initial=0))
    entries, places = np.empty((3, number), np.int64), np.empty(number, np.int64)
    repeated = np.empty(number, np.uint64)
    patterns, slots = np.empty(number, np.uint64), np.empty(1 << slot_bits(longest), np.int64)
    made = _group(keys, ends, first, patterns, slots, entries, places, repeated)
    document, grams, lengths = entries[:, : made[0]]
    return Grams(size, document, grams, lengths, places[: made[1]], repeated[: made[2]])


def _sum_of_most(
    owner: Integers, counts: Integers, number: Integers, distinct: Integers
) -> Integers:
    """Sum each owner's floor(sqrt(distinct)) largest counts; `number` n-grams have each count."""
    order = np.lexsort((-counts, owner))
    owner, counts, number = owner[order], counts[order], number[order]
    limit = np.sqrt(distinct).astype(np.int64)[owner]
    running = np.cumsum(number) - number
    begin = np.searchsorted(owner, np.arange(len(distinct)))
    running = running - np.append(running, 0)[np.minimum(begin, len(running))][owner]
    taken = np.clip(limit - running, 0, number)
    return np.bincount(owner, taken * counts, len(distinct)).astype(np.int64)


def _to_arrow(profiles: list[Grams], documents: int) -> pa.ListArray:
    """Write profiles as the column `repeats`."""
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
        fields=list(REPEAT),
    )
    bounds = np.searchsorted(document[order], np.arange(documents + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(bounds, entries)


def _ranges(starts: Integers, lengths: Integers) -> Integers:
    """Concatenate start, start + 1, ... for each length."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - lengths), lengths))


# Keys of n-grams that may be repeated, compiled.


class _Workspace(NamedTuple):
    """Working memory for the n-grams of one document."""

    hashes: Hashes
    keys: Hashes
    seen: NDArray[np.uint8]


def _make_workspace(number: int) -> _Workspace:
    """Allocate for a document with a number of n-grams."""
    slots = np.empty(1 << slot_bits(number), np.uint8)
    return _Workspace(np.empty(number, np.uint64), np.empty(number, np.uint64), slots)


@compiled
def _slot_of(value: np.uint64, bits: int, above: int) -> int:
    """Slot by some bits of a hash, which begin after its `above` highest."""
    return int64((value << np.uint64(above)) >> np.uint64(64 - bits))


@compiled
def _keep_crowded(work: _Workspace, number: int, found: Hashes, end: int, above: int) -> int:
    """Append the keys of n-grams that may occur more than once to `found`; return its new end.

    Compares only some bits of the hashes, as many as a table small enough for the cache has.
    """
    hashes, keys, seen = borrowed(work.hashes), borrowed(work.keys), borrowed(work.seen)
    bits = slot_bits(number)
    seen[: 1 << bits] = 0
    for row in range(number):
        slot = _slot_of(hashes[row], bits, above)
        seen[slot] = min(seen[slot] + 1, 2)
    for row in range(number):
        if seen[_slot_of(hashes[row], bits, above)] > 1:
            found[end] = keys[row]
            end += 1
    return end


@compiled
def _key_of(value: np.uint64, document: int, place: int) -> np.uint64:
    """Pack document (12 bits), hash (36 bits) and paragraph in the document (16 bits)."""
    found = (np.uint64(document) << _DOCUMENT) | ((value >> _HASH) << _PLACE)
    return found | np.uint64(min(place, _MOST_PLACES))


@compiled
def _character_keys(
    running: Hashes, powers: Hashes, starts: Integers, lengths: Integers, first: Integers,
    size: int, work: _Workspace, found: Hashes, ends: Integers,
) -> None:  # fmt: skip
    """Write the keys of character n-grams that may be repeated in their document.

    `running`, `powers`: see `Paragraphs.window_hashes`; `lengths`: n-grams of each paragraph;
    `first`: first paragraph of each document, and the end; `ends`: end of each document's keys.
    """
    running, powers, found = borrowed(running), borrowed(powers), borrowed(found)
    hashes, keys, seen = borrowed(work.hashes), borrowed(work.keys), borrowed(work.seen)
    end = 0
    for document in range(len(ends)):
        total = 0
        for row in range(first[document], first[document + 1]):
            total += lengths[row]
        bits = slot_bits(total)
        seen[: 1 << bits] = 0
        number = 0
        for row in range(first[document], first[document + 1]):
            for start in range(starts[row], starts[row] + lengths[row]):
                value = (running[start + size] - running[start]) * powers[start]
                hashes[number] = value
                number += 1
                slot = _slot_of(value, bits, 0)
                seen[slot] = min(seen[slot] + 1, 2)
        number, kept = 0, 0
        for row in range(first[document], first[document + 1]):
            for _ in range(lengths[row]):
                value = hashes[number]
                number += 1
                if seen[_slot_of(value, bits, 0)] > 1:
                    hashes[kept] = value
                    keys[kept] = _key_of(value, document, row - first[document])
                    kept += 1
        end = _keep_crowded(work, kept, found, end, bits)
        ends[document] = end


@compiled
def _word_keys(
    words: Hashes, paragraph: Integers, first_word: Integers, first: Integers, size: int,
    work: _Workspace, found: Hashes, ends: Integers,
) -> None:  # fmt: skip
    """Write the keys of word n-grams, as `_character_keys` does.

    `words`: hash of each word; `first_word`: first word of each document, and the end.
    """
    words, paragraph, found = borrowed(words), borrowed(paragraph), borrowed(found)
    hashes, keys = borrowed(work.hashes), borrowed(work.keys)
    end = 0
    for document in range(len(ends)):
        number = 0
        for word in range(first_word[document], first_word[document + 1] - size + 1):
            if paragraph[word] == paragraph[word + size - 1]:
                value = np.uint64(0)
                for other in range(word, word + size):
                    value = splitmix64(value + words[other])
                hashes[number] = value
                keys[number] = _key_of(value, document, paragraph[word] - first[document])
                number += 1
        end = _keep_crowded(work, number, found, end, 0)
        ends[document] = end


@compiled
def _pack_repeated(row: int, count: int) -> np.uint64:
    """Pack a paragraph and how often it has an n-gram, so that greater counts are sorted first."""
    return (np.uint64(row) << _LOW) | (_MOST_COUNT - np.uint64(count))


@compiled
def _group(
    keys: Hashes, ends: Integers, first: Integers, patterns: Hashes, slots: Integers,
    entries: Integers, places: Integers, repeated: Hashes,
) -> tuple[int, int, int]:  # fmt: skip
    """Write the entries of `Grams` from keys sorted in each document; return how many of each.

    `entries`: document, n-grams and number of paragraphs; `patterns`, `slots`: working memory.
    """
    keys, places, slots, patterns = (
        borrowed(keys),
        borrowed(places),
        borrowed(slots),
        borrowed(patterns),
    )
    made, placed, number, begin = 0, 0, 0, 0
    for document in range(len(ends)):
        bits = slot_bits(ends[document] - begin)
        slots[: 1 << bits] = FREE
        while begin < ends[document]:
            end = begin + 1
            while end < ends[document] and keys[end] >> _PLACE == keys[begin] >> _PLACE:
                end += 1
            # hash of an n-gram's paragraphs: a sum, the same for the same paragraphs
            pattern, same = np.uint64(0), begin
            for at in range(begin, end):
                row = first[document] + int64(keys[at] & _IN_PLACE)
                pattern += splitmix64(np.uint64(row))
                if at + 1 == end or keys[at + 1] != keys[at]:
                    if at > same:
                        repeated[number] = _pack_repeated(row, at + 1 - same)
                        number += 1
                    same = at + 1
            if end - begin > 1:
                slot = find_row(slots, bits, patterns, pattern)
                if slots[slot] == FREE:
                    slots[slot], patterns[made] = made, pattern
                    entries[0, made], entries[1, made], entries[2, made] = document, 0, end - begin
                    for at in range(begin, end):
                        places[placed] = int64(keys[at] & _IN_PLACE)
                        placed += 1
                    made += 1
                entries[1, slots[slot]] += 1
            begin = end
    return made, placed, number


@compiled
def _add_most(repeated: Hashes, totals: Integers, sums: Integers) -> None:
    """Add up the floor(sqrt(distinct)) greatest counts of each paragraph.

    `repeated`: sorted, see `_pack_repeated`; `totals`: number of n-grams of each paragraph.
    """
    repeated = borrowed(repeated)
    begin = 0
    while begin < len(repeated):
        row, end = int64(repeated[begin] >> _LOW), begin
        distinct = totals[row]
        while end < len(repeated) and int64(repeated[end] >> _LOW) == row:
            distinct -= int64(_MOST_COUNT - (repeated[end] & _MOST_COUNT)) - 1
            end += 1
        for at in range(begin, min(end, begin + int64(np.sqrt(np.float64(distinct))))):
            sums[row] += int64(_MOST_COUNT - (repeated[at] & _MOST_COUNT))
        begin = end


# Repetition of a document, from the profiles of the paragraphs that are kept.


def _repeated_characters(kept: KeptNodes, _: Column) -> Floats:
    document, counts, grams = _repeated_in_document(kept, CHARACTERS)
    distinct = kept(CHARACTER_GRAMS) - kept.total(document, (counts - 1) * grams)
    return _sum_of_most(document, counts, grams, distinct.astype(np.int64)).astype(np.float64)


def _repeated_words(kept: KeptNodes, _: Column) -> Floats:
    document, counts, grams = _repeated_in_document(kept, WORDS)
    return kept.total(document, counts * grams)


def _repeated_in_document(kept: KeptNodes, size: int) -> tuple[Integers, Integers, Integers]:
    """Find the entries of `repeats` that still occur more than once.

    Returns the document of each, its occurrences, and its number of n-grams.
    """
    repeats = Nested(kept.signals.column(REPEATS.name))
    inside = repeats.entries.field("paragraphs")
    sizes = repeats.entries.field("size").to_numpy()
    counts = np.zeros(len(repeats), np.int64)
    first = kept.paragraphs.first[repeats.document]
    places, offsets = inside.values.to_numpy(), inside.offsets.to_numpy()
    _count_kept(sizes == size, offsets, places, first, kept.kept_paragraphs, counts)
    often = counts > 1
    grams = repeats.entries.field("grams").to_numpy()
    return repeats.document[often], counts[often], grams[often]


@compiled
def _count_kept(
    wanted: Mask, offsets: NDArray[np.int32], places: NDArray[np.int32], first: Integers,
    kept: Mask, counts: Integers,
) -> None:  # fmt: skip
    """Count the kept paragraphs of each wanted entry; `first`: its document's first paragraph."""
    places, kept = borrowed(places), borrowed(kept)
    for entry in range(len(counts)):
        if wanted[entry]:
            for place in range(offsets[entry], offsets[entry + 1]):
                counts[entry] += kept[first[entry] + places[place]]


# Declarations.


REPEATS = Column("repeats", "document", pa.list_(REPEAT), profile_repeats)
CHARACTER_GRAMS = Derived("char_grams", (CHARS,), _character_gram_counts)
WORD_GRAMS = Derived("word_grams", (WORD_COUNT,), _word_gram_counts)
REPEATED_CHARACTERS = Column(
    "repeated_chars", "text_node", pa.int32(), count_repeated_characters,
    _repeated_characters, (REPEATS, CHARS),
)  # fmt: skip
REPEATED_WORDS = Column(
    "repeated_words", "text_node", pa.int32(), count_repeated_words, _repeated_words, (REPEATS,)
)

SIGNALS = (
    text_ratio("char_repetition", REPEATED_CHARACTERS, CHARACTER_GRAMS,
               "character 10-grams that are among the floor(sqrt(distinct)) most frequent and "
               "occur again", OBELICS),
    text_ratio("word_repetition", REPEATED_WORDS, WORD_GRAMS, "word 5-grams that occur again",
               OBELICS),
)  # fmt: skip
