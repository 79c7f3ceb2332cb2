"""Repetition and presence signals of Gopher (Rae et al. 2021, table A1) and C4, over a whole page.

They see the page's text before nodes are dropped, as those filters do. n-grams stay inside a
paragraph. An n-gram can only be repeated where the shorter one at the same place is, so each size
looks at what the size before left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from filters.characters import mix
from filters.paragraphs import Integers, Paragraphs
from filters.repetition import not_single
from filters.words import Words

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)


def signals(text: Paragraphs, words: Words) -> dict[str, NDArray[np.float64]]:
    """Share of the words' characters in the most frequent, or in all repeated, n-grams."""
    document = text.document[words.paragraph]
    total = np.bincount(document, words.ends - words.starts, text.documents)
    place = np.arange(len(words.hashes))
    hashes = mix(words.hashes)
    salt = mix(np.arange(text.documents, dtype=np.uint64))
    measured = {}
    for size in range(2, DUPLICATE_SIZES[-1] + 1):
        ahead = place + size - 1
        inside = ahead < len(words.hashes)
        place, hashes, ahead = place[inside], hashes[inside], ahead[inside]
        inside = words.paragraph[place] == words.paragraph[ahead]
        place, ahead = place[inside], ahead[inside]
        hashes = mix(hashes[inside] + words.hashes[ahead])
        keys = hashes ^ salt[document[place]]
        maybe = not_single(keys)
        place, hashes = place[maybe], hashes[maybe]
        order, starts, counts = _groups(keys[maybe])
        if size in TOP_SIZES:
            chars = _gram_chars(words, place[order[starts]], size)
            top = _top(document[place[order[starts]]], counts, chars, text.documents)
            measured[f"top_{size}gram_ratio"] = top / np.maximum(total, 1)
        repeated = np.sort(order[np.repeat(counts > 1, counts)])
        place, hashes = place[repeated], hashes[repeated]
        if size in DUPLICATE_SIZES:
            covered = _covered(words, place, size, document, text.documents)
            measured[f"duplicate_{size}gram_ratio"] = covered / np.maximum(total, 1)
    return measured


def _groups(keys: NDArray[np.uint64]) -> tuple[Integers, Integers, Integers]:
    """Order that sorts the keys, and start and length of each run of equal keys in it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(keys)])
    return order, starts, np.diff(np.append(starts, len(keys)))


def _gram_chars(words: Words, place: Integers, size: int) -> Integers:
    chars = np.append(0, np.cumsum(words.ends - words.starts))
    return np.asarray(chars[place + size] - chars[place])


def _top(document: Integers, counts: Integers, chars: Integers, size: int) -> Integers:
    """Characters in the most frequent repeated n-gram of each document; ties: the longest."""
    order = np.lexsort((chars, counts, document))
    last = order[np.append(np.diff(document[order]) != 0, True)[: len(order)]]
    covered = np.zeros(size, np.int64)
    covered[document[last]] = np.where(counts[last] > 1, counts[last] * chars[last], 0)
    return covered


def _covered(
    words: Words, place: Integers, size: int, document: Integers, documents: int
) -> NDArray[np.float64]:
    """Characters of words inside any repeated n-gram, each counted once."""
    if not len(place):
        return np.zeros(documents)
    length = len(words.hashes) + 1
    edges = np.bincount(place, minlength=length) - np.bincount(place + size, minlength=length)
    inside = np.cumsum(edges[:-1]) > 0
    chars = (words.ends - words.starts)[inside]
    return np.bincount(document[inside], chars, documents).astype(np.float64)
