"""A language model of counts: bytes predicted from the up to five before them.

Trained in a second a megabyte, always to the same result, so differences between training texts
are not lost in the noise of training. Texts were chosen by the perplexity of such models before
(Moore and Lewis 2010) and by hashed n-grams (Xie et al. 2023, DSIR).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORDER = 6  # longest n-gram; longer ones predict a few megabytes' held-out text worse
START = b"\0" * (ORDER - 1)  # before each text
Words = NDArray[np.uint64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """The n-grams of one length, and their contexts (all but the last byte), sorted."""

    grams: Words
    counts: Integers
    contexts: Words
    totals: Integers  # how often a context was seen
    distinct: Integers  # by how many different bytes it was followed


class NGrams:
    """Probabilities by Witten and Bell (1991), method C, from the longest context to none."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        chosen = np.sort(_windows(texts))
        self.levels = [_level(chosen >> np.uint64(8 * (ORDER - n))) for n in range(1, ORDER + 1)]

    @property
    def parameters(self) -> int:
        """Counts that the model stores."""
        return sum(len(level.counts) + len(level.contexts) for level in self.levels)

    def bits(self, texts: Sequence[bytes]) -> list[float]:
        """Return the bits of each text."""
        windows = _windows(texts)
        sizes = np.array([len(one) for one in texts], np.int64)
        # of the bytes of texts, the places in the joined text: START comes before each
        ends = np.cumsum(sizes + len(START))
        place = np.concatenate(
            [np.arange(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        )
        probability = np.full(len(place), 1 / 256)
        for n, level in enumerate(self.levels, 1):
            grams = windows[place - (n - 1)] >> np.uint64(8 * (ORDER - n))
            probability = _mix(level, grams, probability)
        bits = np.append(0.0, np.cumsum(-np.log2(probability)))
        bounds = np.append(0, np.cumsum(sizes))
        return [float(value) for value in np.diff(bits[bounds])]


def _windows(texts: Sequence[bytes]) -> Words:
    """Return the ORDER bytes from each place of the joined texts, the first in the highest byte."""
    data = np.frombuffer(b"".join(START + one for one in texts) + START, np.uint8)
    count = len(data) - len(START)
    words = np.zeros(count, np.uint64)
    for shift in range(ORDER):
        words = words << np.uint64(8) | data[shift : shift + count]
    return words


def _level(grams: Words) -> Level:
    """Count sorted n-grams."""
    first = np.flatnonzero(np.append(True, grams[1:] != grams[:-1]))
    counts = np.diff(np.append(first, len(grams)))
    distinct = grams[first]
    heads = distinct >> np.uint64(8)
    begin = np.flatnonzero(np.append(True, heads[1:] != heads[:-1]))
    totals = np.add.reduceat(counts, begin)
    followers = np.diff(np.append(begin, len(heads)))
    return Level(distinct, counts, heads[begin], totals, followers)


def _mix(level: Level, grams: Words, shorter: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of n-grams, given those of the n-grams one byte shorter."""
    order = np.argsort(grams)  # look-ups in order read memory in order
    wanted = grams[order]
    at, known = _find(level.grams, wanted)
    count = np.where(known, level.counts[at], 0)
    at, seen = _find(level.contexts, wanted >> np.uint64(8))
    total, distinct = level.totals[at], level.distinct[at]
    backed = shorter[order]
    mixed = np.where(seen, (count + distinct * backed) / (total + distinct), backed)
    result = np.empty_like(mixed)
    result[order] = mixed
    return result


def _find(keys: Words, wanted: Words) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the place of each wanted number among sorted keys, and whether it is there."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return at, keys[at] == wanted
