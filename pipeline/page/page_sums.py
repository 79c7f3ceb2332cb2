"""Running sums over a page's blocks, compiled: an element's blocks lie side by side."""

from __future__ import annotations

import numpy as np

from benben.pipeline.compiled import compiled
from benben.pipeline.page.characters import STOP
from benben.pipeline.page.columns import AN_IMAGE, CHARS, COUNTS, KIND
from benben.pipeline.page.dom import Integers

# Columns of the sums; row n holds those of the blocks before n.
SUM_CHARS, SUM_LINKED, SUM_PROSE, SUM_TEXTS, SUM_IMAGES, SUM_STOPS = range(6)
SUMS = 6

_LONG = 80  # characters: prose even without a sentence end
_MANY_LINKS = 0.3
_LOGS = np.log1p(np.arange(4096))  # of the small numbers, which most are


@compiled
def log(number: float) -> float:
    """log1p of a number that is mostly a small whole one."""
    whole = int(number)
    return _LOGS[whole] if whole == number and whole < len(_LOGS) else np.log1p(number)


@compiled
def add_up(sums: np.ndarray, number: int, block: Integers, link_share: float) -> None:
    """Running sums over the blocks: characters, linked ones, prose, texts, images, stops."""
    chars, stops = block[CHARS], block[COUNTS + STOP]
    prose = link_share < _MANY_LINKS and (stops > 0 or chars > _LONG)
    after, before = sums[number + 1], sums[number]
    after[SUM_CHARS] = before[SUM_CHARS] + chars
    after[SUM_LINKED] = before[SUM_LINKED] + chars * link_share
    after[SUM_PROSE] = before[SUM_PROSE] + (chars if prose else 0)
    after[SUM_TEXTS] = before[SUM_TEXTS] + (chars > 0)
    after[SUM_IMAGES] = before[SUM_IMAGES] + (block[KIND] == AN_IMAGE)
    after[SUM_STOPS] = before[SUM_STOPS] + stops


@compiled
def group(keys: Integers, weights: Integers) -> tuple[Integers, Integers, Integers]:
    """Of each key: how often it is there, the sum of its weights, and its number from 0."""
    size = 1
    while size < 2 * len(keys):
        size *= 2
    slots = np.full(size, -1)  # the first place of the key
    firsts = np.empty(len(keys), np.int64)
    counts, sums = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
    numbers = np.empty(len(keys), np.int64)
    known = 0
    for place in range(len(keys)):
        slot = (keys[place] ^ keys[place] >> 32) & size - 1
        while slots[slot] >= 0 and keys[slots[slot]] != keys[place]:
            slot = (slot + 1) & size - 1
        if slots[slot] < 0:
            slots[slot] = place
            numbers[place] = known
            known += 1
        first = firsts[place] = slots[slot]
        numbers[place] = numbers[first]
        counts[first] += 1
        sums[first] += weights[place]
    return counts[firsts], sums[firsts], numbers
