"""What the content score sees of a block: its text, its markup, the elements around; compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benben.pipeline.compiled import borrowed, compiled
from benben.pipeline.page.characters import BREAK as LINE_BREAK
from benben.pipeline.page.characters import CAPITAL, COLON, COMMA, DIGIT, SPACE, STOP
from benben.pipeline.page.columns import (
    AN_IMAGE,
    CHARS,
    COUNTS,
    DEPTH,
    ELEMENT,
    END,
    FIRST,
    FIRST_CLASS,
    FLAGS,
    HASH,
    KIND,
    LAST_CLASS,
    LINKED,
    PARENT,
    START,
    TAG,
)
from benben.pipeline.page.columns import STOP as TEXT_STOP
from benben.pipeline.page.dom import Bytes, Integers
from benben.pipeline.page.neighbour_features import (
    ALIKE,
    NEAR,
    POSITION,
    SHIFTS,
    WINDOWS,
    write_alike,
    write_near,
    write_page,
    write_positions,
    write_windows,
)
from benben.pipeline.page.page_sums import (
    SUM_CHARS,
    SUM_IMAGES,
    SUM_LINKED,
    SUM_PROSE,
    SUM_STOPS,
    SUM_TEXTS,
    SUMS,
    add_up,
    group,
    log,
)

TEXT = ("chars", "words", "commas", "stops", "lines", "word_length", "ends", "colon", "capitals",
        "digits", "capital_first", "image", "link_share", "repeats", "in_title")  # fmt: skip
LEVEL = ("link_share", "prose", "share", "prose_share", "chars", "blocks", "images", "stops",
         "mean_chars")  # fmt: skip
LEVELS = 5  # the block's element and the elements around it

_LINK_SHARE = TEXT.index("link_share")


class Layout(NamedTuple):
    """Where the features of markup lie."""

    width: int
    tag_groups: Integers  # tag -> group
    tag_count: int  # groups
    heading: np.ndarray  # tag -> whether it is a heading
    flag_bits: Integers  # bits of an element's flags that are features
    first_word: int  # bit of the first group of words
    word_count: int


@compiled
def describe_blocks(
    elements: Integers, blocks: Integers, text: Bytes, title: Bytes, layout: Layout
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of features, kinds of markup and lengths; see content_features.Blocks."""
    elements, blocks = borrowed(elements), borrowed(blocks)
    text, title = borrowed(text), borrowed(title)
    size = len(blocks)
    rows, sums = np.empty((size, layout.width), np.float32), np.zeros((size + 1, SUMS))
    out = borrowed(rows)
    repeats, _, _ = group(blocks[:, HASH], np.ones(size, np.int64))
    for number in range(size):
        _text(out[number], blocks[number], text, title, repeats[number])
        add_up(sums, number, blocks[number], out[number, _LINK_SHARE])
    first = len(TEXT)
    kinds = np.empty(size, np.int64)
    for number in range(size):
        kinds[number] = _markup(out[number], first, elements, blocks[number, ELEMENT], layout)
    first += 1 + 2 * layout.tag_count + len(layout.flag_bits) + layout.word_count
    levels = _levels(elements, sums)
    for number in range(size):
        _chain(out[number], first, elements, blocks[number, ELEMENT], levels)
    first += len(LEVEL) * LEVELS
    for number in range(size):
        write_positions(out[number], first, number, size, sums)
    first += len(POSITION)
    write_near(out, first, elements, blocks, layout.heading)
    first += len(SHIFTS) * (len(NEAR) + 2)
    write_windows(out, first, sums)
    first += 3 * len(WINDOWS)
    lengths = blocks[:, CHARS].copy()
    numbers = write_alike(out, first, kinds, lengths)
    write_page(out, first + len(ALIKE), sums)
    return rows, numbers, lengths


@compiled
def _text(row: np.ndarray, block: Integers, text: Bytes, title: Bytes, repeats: int) -> None:
    chars, counts = block[CHARS], block[COUNTS:]
    some = max(chars, 1)
    words = counts[SPACE] + counts[LINE_BREAK] + (chars > 0)
    row[0], row[1], row[2] = log(chars), log(words), log(counts[COMMA])
    row[3], row[4] = log(counts[STOP]), log(counts[LINE_BREAK])
    row[5] = min(chars / max(words, 1), 30.0) / 10
    row[6], row[7] = block[LAST_CLASS] == STOP, block[LAST_CLASS] == COLON
    row[8], row[9] = counts[CAPITAL] / some, counts[DIGIT] / some
    row[10] = block[FIRST_CLASS] == CAPITAL
    row[11] = block[KIND] == AN_IMAGE
    row[12] = min(block[LINKED] / some, 1.0)
    row[13] = log(repeats) if chars else 0.0
    row[14] = chars > 0 and _within(title, text[block[START] : block[TEXT_STOP]])


@compiled
def _within(whole: Bytes, part: Bytes) -> bool:
    """Whether some bytes lie within others."""
    for start in range(len(whole) - len(part) + 1):
        same = True
        for place in range(len(part)):
            if whole[start + place] != part[place]:
                same = False
                break
        if same:
            return True
    return False


@compiled
def _markup(row: np.ndarray, first: int, elements: Integers, element: int, layout: Layout) -> int:
    """Depth, tags, kinds of element around and words of class; the kind of markup as a number."""
    around = elements[element, PARENT]
    own, outer = elements[element, FLAGS], elements[around, FLAGS]
    tag, depth = layout.tag_groups[elements[element, TAG]], elements[element, DEPTH]
    row[first] = depth / 10
    first += 1
    row[first : first + 2 * layout.tag_count] = 0
    row[first + tag] = 1
    row[first + layout.tag_count + layout.tag_groups[elements[around, TAG]]] = 1
    first += 2 * layout.tag_count
    for number in range(len(layout.flag_bits)):
        row[first + number] = own >> layout.flag_bits[number] & 1
    first += len(layout.flag_bits)
    for number in range(layout.word_count):
        row[first + number] = (own | outer) >> (layout.first_word + number) & 1
    return own * 31 + outer * 17 + tag * 7 + depth  # wraps around: a hash


@compiled
def _levels(elements: Integers, sums: np.ndarray) -> np.ndarray:
    """What lies in each element."""
    found = np.empty((len(elements), len(LEVEL)), np.float32)
    all_chars, all_prose = max(1.0, sums[-1, SUM_CHARS]), max(1.0, sums[-1, SUM_PROSE])
    for number in range(len(elements)):
        first, end, out = elements[number, FIRST], elements[number, END], found[number]
        chars = sums[end, SUM_CHARS] - sums[first, SUM_CHARS]
        prose = sums[end, SUM_PROSE] - sums[first, SUM_PROSE]
        texts = sums[end, SUM_TEXTS] - sums[first, SUM_TEXTS]
        some = max(chars, 1.0)
        out[0] = (sums[end, SUM_LINKED] - sums[first, SUM_LINKED]) / some
        out[1] = prose / some
        out[2] = chars / all_chars
        out[3] = prose / all_prose
        out[4] = log(chars)
        out[5] = log(texts)
        out[6] = log(sums[end, SUM_IMAGES] - sums[first, SUM_IMAGES])
        out[7] = log(sums[end, SUM_STOPS] - sums[first, SUM_STOPS])
        out[8] = np.log1p(chars / max(texts, 1.0))
    return found


@compiled
def _chain(
    row: np.ndarray, first: int, elements: Integers, element: int, levels: np.ndarray
) -> None:
    for level in range(LEVELS):
        for name in range(len(LEVEL)):
            row[first + name * LEVELS + level] = levels[element, name]
        element = elements[element, PARENT]
