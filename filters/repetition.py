"""Repeated n-grams: within paragraphs and, whatever of them is kept, within documents.

OBELICS counts character 10-grams and word 5-grams in a paragraph and in the whole document. The
document's count depends on the paragraphs kept, and is no sum of theirs. So repeated n-grams are
stored as a profile: n-grams that lie in the same paragraphs are one entry with a multiplicity.
n-grams do not cross paragraphs here (OBELICS's document text joins them).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters import grams as ngrams
from benben.filters.characters import mix
from benben.filters.paragraphs import Integers, Paragraphs
from benben.filters.words import Words
from benben.pipeline import signal_schema

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
    room = ngrams.room(int(text.of_document(lengths).max(initial=0)))
    found = np.empty(int(lengths.sum()), np.uint64)
    number = ngrams.character_keys(
        text.hashes, text.powers(), text.starts, lengths, first, CHARACTERS, room, found
    )
    return _repeated(found[:number], first)


def word_grams(text: Paragraphs, words: Words, first: Integers) -> Grams:
    """Repeated word 5-grams."""
    first_word = np.searchsorted(words.paragraph, first)
    room = ngrams.room(int(np.diff(first_word).max(initial=0)))
    found = np.empty(len(words.hashes), np.uint64)
    number = ngrams.word_keys(words.hashes, words.paragraph, first_word, first, WORDS, room, found)
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
