"""Repeated n-grams: within paragraphs and, whatever paragraphs are kept, within documents.

OBELICS counts character 10-grams and word 5-grams in a paragraph and in the whole document. The
document's count depends on which paragraphs are kept and is not the sum of theirs. So repeated
n-grams are stored as a profile, the column `repeats`: n-grams that lie in the same paragraphs are
one entry with their number. n-grams do not cross paragraphs here (in OBELICS's document text they
do).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.common import hashing
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
from benben.pipeline.compiled import borrowed, compiled
from benben.pipeline.hash_tables import slot_bits

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


def count_repeated_characters(batch: Batch) -> Integers:
    """Count the occurrences of each paragraph's most frequent character 10-grams."""
    totals = _character_gram_counts(batch.text.ends - batch.text.starts)
    return _most_in_paragraph(batch.once(_character_grams), totals)


def count_repeated_words(batch: Batch) -> Integers:
    """Count the occurrences of each paragraph's repeated word 5-grams."""
    return _all_in_paragraph(batch.once(_word_grams), len(batch.text))


def profile_repeats(batch: Batch) -> pa.ListArray:
    """Measure the column `repeats`."""
    profiles = [
        _profile(batch.once(_character_grams), CHARACTERS, batch.first),
        _profile(batch.once(_word_grams), WORDS, batch.first),
    ]
    return _to_arrow(profiles, len(batch))


def _character_gram_counts(chars: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.maximum(chars - CHARACTERS + 1, 0))


def _word_gram_counts(words: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.maximum(words - WORDS + 1, 0))


@dataclass(slots=True)
class Grams:
    """Occurrences of n-grams repeated in their document, sorted by n-gram and paragraph."""

    gram: NDArray[np.uint64]  # document (12 bits) and hash (36 bits)
    paragraph: Integers  # row of the paragraph


def _repeated(key: NDArray[np.uint64], first: Integers) -> Grams:
    """Find the n-grams that occur more than once in a document, from their keys (see `_key_of`).

    `first`: row of each document's first paragraph.
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


def _character_grams(batch: Batch) -> Grams:
    """Find the repeated character 10-grams."""
    text = batch.text
    lengths = _character_gram_counts(text.ends - text.starts)
    work = _make_workspace(int(text.of_document(lengths).max(initial=0)))
    found = np.empty(int(lengths.sum()), np.uint64)
    number = _character_keys(
        text.hashes, text.powers(), text.starts, lengths, batch.first, CHARACTERS, work, found
    )
    return _repeated(found[:number], batch.first)


def _word_grams(batch: Batch) -> Grams:
    """Find the repeated word 5-grams."""
    words = batch.once(words_of)
    first_word = np.searchsorted(words.paragraph, batch.first)
    work = _make_workspace(int(np.diff(first_word).max(initial=0)))
    found = np.empty(len(words.hashes), np.uint64)
    number = _word_keys(words.hashes, words.paragraph, first_word, batch.first, WORDS, work, found)
    return _repeated(found[:number], batch.first)


def _all_in_paragraph(grams: Grams, paragraphs: int) -> Integers:
    """Count the occurrences of n-grams that occur more than once in the paragraph."""
    _, rows, counts = _runs(grams)
    often = counts > 1
    return np.bincount(rows[often], counts[often], paragraphs).astype(np.int64)


def _most_in_paragraph(grams: Grams, totals: Integers) -> Integers:
    """Count the occurrences of the paragraph's most frequent n-grams (OBELICS).

    These are the k most frequent, where k = min(floor(sqrt(distinct)), those that occur again).
    `totals`: number of n-grams of each paragraph.
    """
    _, rows, counts = _runs(grams)
    often = counts > 1
    rows, counts = rows[often], counts[often]
    distinct = totals - np.bincount(rows, counts - 1, len(totals)).astype(np.int64)
    return _sum_of_most(rows, counts, np.ones_like(counts), distinct)


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


def _runs(grams: Grams) -> tuple[NDArray[np.uint64], Integers, Integers]:
    """Return the distinct (n-gram, paragraph) pairs and how often each occurs."""
    change = np.ones(len(grams.gram), np.bool_)
    change[1:] = (grams.gram[1:] != grams.gram[:-1]) | (grams.paragraph[1:] != grams.paragraph[:-1])
    starts = np.flatnonzero(change)
    counts = np.diff(np.append(starts, len(change)))
    return grams.gram[starts], grams.paragraph[starts], counts


@dataclass(slots=True)
class Profile:
    """Repeated n-grams of one size, joined where they lie in the same paragraphs."""

    document: Integers
    size: int
    grams: Integers
    lengths: Integers  # number of paragraphs of each entry
    places: Integers  # places of those paragraphs in the document, concatenated


def _profile(grams: Grams, size: int, first: Integers) -> Profile:
    """Join n-grams that occur equally often in the same paragraphs."""
    begin = np.flatnonzero(np.append(True, grams.gram[1:] != grams.gram[:-1])[: len(grams.gram)])
    lengths = np.diff(np.append(begin, len(grams.gram)))
    # hash of an n-gram's paragraphs: a sum, so n-grams with the same paragraphs have the same
    pattern = np.zeros(len(begin), np.uint64)
    if len(begin):
        pattern = np.add.reduceat(hashing.splitmix64(grams.paragraph.astype(np.uint64)), begin)
    _, representative, multiplicity = np.unique(pattern, return_index=True, return_counts=True)
    order = np.argsort(representative)
    chosen, multiplicity = representative[order], multiplicity[order]
    chosen_lengths = lengths[chosen]
    rows = grams.paragraph[_ranges(begin[chosen], chosen_lengths)]
    document = (grams.gram[begin[chosen]] >> np.uint64(36)).astype(np.int64)
    places = rows - np.repeat(first[document], chosen_lengths)
    return Profile(document, size, multiplicity, chosen_lengths, places)


def _to_arrow(profiles: list[Profile], documents: int) -> pa.ListArray:
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
def _keep_crowded(
    hashes: Hashes, keys: Hashes, seen: NDArray[np.uint8], number: int, above: int
) -> int:
    """Keep the n-grams that may occur more than once; return how many are left.

    Compares only some bits of the hashes, as many as a table small enough for the cache has. They
    begin after the `above` highest bits.
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
def _keep_repeated(
    hashes: Hashes, keys: Hashes, seen: NDArray[np.uint8], number: int, found: Hashes, end: int
) -> int:
    """Append the keys of n-grams that may be repeated to `found`; return its new end."""
    left = _keep_crowded(hashes, keys, seen, number, 0)
    left = _keep_crowded(hashes, keys, seen, left, slot_bits(number))
    for row in range(left):
        found[end + row] = keys[row]
    return end + left


@compiled
def _key_of(value: np.uint64, document: int, place: int) -> np.uint64:
    """Pack document (12 bits), hash (36 bits) and paragraph in the document (16 bits)."""
    found = (np.uint64(document) << _DOCUMENT) | ((value >> _HASH) << _PLACE)
    return found | np.uint64(min(place, _MOST_PLACES))


@compiled
def _character_keys(
    running: Hashes, powers: Hashes, starts: Integers, lengths: Integers, first: Integers,
    size: int, work: _Workspace, found: Hashes,
) -> int:  # fmt: skip
    """Write the keys of character n-grams that may be repeated in their document.

    `running`, `powers`: see `Paragraphs.window_hashes`; `lengths`: n-grams of each paragraph;
    `first`: first paragraph of each document, and the end. Returns the number of keys.
    """
    running, powers, found = borrowed(running), borrowed(powers), borrowed(found)
    hashes, keys, seen = borrowed(work.hashes), borrowed(work.keys), borrowed(work.seen)
    end = 0
    for document in range(len(first) - 1):
        number = 0
        for row in range(first[document], first[document + 1]):
            for start in range(starts[row], starts[row] + lengths[row]):
                value = (running[start + size] - running[start]) * powers[start]
                hashes[number] = value
                keys[number] = _key_of(value, document, row - first[document])
                number += 1
        end = _keep_repeated(hashes, keys, seen, number, found, end)
    return end


@compiled
def _word_keys(
    words: Hashes, paragraph: Integers, first_word: Integers, first: Integers, size: int,
    work: _Workspace, found: Hashes,
) -> int:  # fmt: skip
    """Write the keys of word n-grams, as `_character_keys` does.

    `words`: hash of each word; `first_word`: first word of each document, and the end.
    """
    words, paragraph, found = borrowed(words), borrowed(paragraph), borrowed(found)
    hashes, keys, seen = borrowed(work.hashes), borrowed(work.keys), borrowed(work.seen)
    end = 0
    for document in range(len(first) - 1):
        number = 0
        for word in range(first_word[document], first_word[document + 1] - size + 1):
            if paragraph[word] == paragraph[word + size - 1]:
                value = np.uint64(0)
                for other in range(word, word + size):
                    value = splitmix64(value + words[other])
                hashes[number] = value
                keys[number] = _key_of(value, document, paragraph[word] - first[document])
                number += 1
        end = _keep_repeated(hashes, keys, seen, number, found, end)
    return end


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
