"""What the content score sees of the blocks around a block, and of the whole page; compiled."""

from __future__ import annotations

import numpy as np

from benben.pipeline.compiled import compiled
from benben.pipeline.page.columns import DEPTH, ELEMENT, PARENT, TAG
from benben.pipeline.page.dom import Integers
from benben.pipeline.page.page_sums import (
    SUM_CHARS,
    SUM_IMAGES,
    SUM_LINKED,
    SUM_PROSE,
    group,
    log,
)

POSITION = ("place", "text_before", "prose_before", "blocks_after", "blocks_before")
NEAR = ("chars", "link_share", "ends", "image", "stops", "commas", "depth", "heading")
SHIFTS = (-3, -2, -1, 1, 2, 3)
WINDOWS = (3, 8, 20)  # blocks to each side
ALIKE = ("alike", "alike_mean_chars", "alike_share")  # blocks of the same kind of markup
PAGE = ("page_chars", "page_link_share", "page_blocks", "page_prose", "page_images")


@compiled
def write_positions(row: np.ndarray, first: int, number: int, size: int, sums: np.ndarray) -> None:
    """Where the block lies on the page."""
    row[first] = number / size
    row[first + 1] = sums[number, SUM_CHARS] / max(1.0, sums[size, SUM_CHARS])
    row[first + 2] = sums[number, SUM_PROSE] / max(1.0, sums[size, SUM_PROSE])
    row[first + 3] = log(size - number)
    row[first + 4] = log(number)


@compiled
def write_near(
    rows: np.ndarray, first: int, elements: Integers, blocks: Integers, heading: np.ndarray
) -> None:
    """What the blocks before and behind are like, and whether they share the element."""
    size = len(rows)
    near = np.empty((size, len(NEAR)), np.float32)
    for number in range(size):
        row, element = rows[number], blocks[number, ELEMENT]
        near[number, 0], near[number, 1], near[number, 2] = row[0], row[12], row[6]
        near[number, 3], near[number, 4], near[number, 5] = row[11], row[3], row[2]
        near[number, 6] = elements[element, DEPTH] / 10
        near[number, 7] = heading[elements[element, TAG]]
    for number in range(size):
        row, element = rows[number], blocks[number, ELEMENT]
        same = first + len(SHIFTS) * len(NEAR)
        for place in range(len(SHIFTS)):
            other, start = number + SHIFTS[place], first + place * len(NEAR)
            inside = 0 <= other < size
            for name in range(len(NEAR)):
                row[start + name] = near[other, name] if inside else 0.0
            its = blocks[other, ELEMENT] if inside else 0
            row[same + place] = inside and elements[its, PARENT] == elements[element, PARENT]
            row[same + len(SHIFTS) + place] = inside and its == element


@compiled
def write_windows(rows: np.ndarray, first: int, sums: np.ndarray) -> None:
    """How much text and prose lie around, and how much of it in links."""
    size, count = len(rows), len(WINDOWS)
    for number in range(size):
        row = rows[number]
        for place in range(count):
            low = max(number - WINDOWS[place], 0)
            high = min(number + WINDOWS[place] + 1, size)
            chars = sums[high, SUM_CHARS] - sums[low, SUM_CHARS]
            some = max(chars, 1.0)
            row[first + place] = np.log1p(chars / (high - low))
            linked = sums[high, SUM_LINKED] - sums[low, SUM_LINKED]
            row[first + count + place] = linked / some
            prose = sums[high, SUM_PROSE] - sums[low, SUM_PROSE]
            row[first + 2 * count + place] = prose / some


@compiled
def write_alike(rows: np.ndarray, first: int, kinds: Integers, lengths: Integers) -> Integers:
    """How many blocks have the same tag, words and depth, and how much text lies in them."""
    blocks, chars, numbers = group(kinds, lengths)
    everything = max(1, lengths.sum())
    for number in range(len(rows)):
        row = rows[number]
        row[first] = log(blocks[number])
        row[first + 1] = np.log1p(chars[number] / blocks[number])
        row[first + 2] = chars[number] / everything
    return numbers


@compiled
def write_page(rows: np.ndarray, first: int, sums: np.ndarray) -> None:
    """What the whole page is like."""
    whole = sums[-1]
    some = max(1.0, whole[SUM_CHARS])
    for number in range(len(rows)):
        row = rows[number]
        row[first] = log(whole[SUM_CHARS])
        row[first + 1] = whole[SUM_LINKED] / some
        row[first + 2] = log(len(rows))
        row[first + 3] = whole[SUM_PROSE] / some
        row[first + 4] = log(whole[SUM_IMAGES])
