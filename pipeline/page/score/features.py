"""What the content score sees of each block of a page: a row of named numbers.

Counts, markup, neighbourhood, and words of short texts such as "Related articles" in many languages
(surroundings.py). Commas and sentence ends are those of many scripts, and words of class attributes
are English on pages of any language. Lengths enter as logarithms. Statistics of elements and
windows are differences of running sums, since the blocks of an element lie side by side in reading
order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benben.pipeline.characters import BREAK as LINE_BREAK
from benben.pipeline.characters import (
    CAPITAL,
    COLON,
    COMMA,
    DIGIT,
    SPACE,
    STOP,
)
from benben.pipeline.compiled import Bytes, Floats, Integers, borrowed, called, compiled, int64
from benben.pipeline.hash_tables import Table, borrowed_table, group
from benben.pipeline.page.dom.columns import (
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
from benben.pipeline.page.dom.columns import STOP as TEXT_STOP
from benben.pipeline.page.dom.elements import (
    AROUND,
    FIGURE,
    FIRST_AROUND,
    FIRST_BIT,
    GROUPS,
    HIDDEN,
    TAGS,
    tag_id,
)
from benben.pipeline.page.dom.walk import Walk
from benben.pipeline.page.score.surroundings import (
    CARD,
    CARDS,
    LABEL_CHARS,
    LABELS,
    RELATION,
    SAID,
    TITLE_PLACE,
    WORDING,
    WORDS,
    Words,
    count_words,
    main_element,
    read_words,
    reader_comments,
    shapes,
    title_block,
    write_cards,
    write_headings,
    write_relation,
    write_said,
    write_sections,
    write_title_place,
    write_wording,
)

# Names of the features, in groups.
TEXT = ("chars", "words", "commas", "stops", "lines", "word_length", "ends", "colon", "capitals",
        "digits", "capital_first", "image", "link_share", "repeats", "in_title")  # fmt: skip
LEVEL = ("link_share", "prose", "share", "prose_share", "chars", "blocks", "images", "stops",
         "mean_chars")  # fmt: skip
LEVELS = 5  # the block's element and the elements around it
POSITION = ("place", "text_before", "prose_before", "blocks_after", "blocks_before")
NEAR = ("chars", "link_share", "ends", "image", "stops", "commas", "depth", "heading")
SHIFTS = (-3, -2, -1, 1, 2, 3)
WINDOWS = (3, 8, 20)  # blocks to each side
ALIKE = ("alike", "alike_mean_chars", "alike_share")  # blocks of the same kind of markup
PAGE = ("page_chars", "page_link_share", "page_blocks", "page_prose", "page_images")
# Columns of TEXT that the features of neighbouring blocks repeat.
_CHARS, _COMMAS, _STOPS, _ENDS, _IMAGE, _LINK_SHARE = (
    TEXT.index(name) for name in ("chars", "commas", "stops", "ends", "image", "link_share")
)
_TAGS = {
    "p": ("p",), "h1": ("h1",), "h2": ("h2",), "h3": ("h3",), "h4": ("h4", "h5", "h6"),
    "li": ("li",), "cell": ("td", "th", "tr", "caption"), "div": ("div",), "dl": ("dd", "dt", "dl"),
    "pre": ("pre",), "quote": ("blockquote",), "figcaption": ("figcaption",), "body": ("body",),
    "section": ("article", "section", "main"), "header": ("header",), "summary": ("summary",),
    "list": ("ul", "ol"),
}  # fmt: skip
_HEADINGS = ("h1", "h2", "h3", "h4")
_REPEATED = ("li", "cell", "pre")  # their texts may come again: "Yes", "Example"
_COPY_CHARS = 20  # and so may a shorter one
FEATURES: tuple[str, ...] = (
    *TEXT,
    "depth",
    *(f"tag_{tag}" for tag in (*_TAGS, "other")),
    *(f"parent_{tag}" for tag in (*_TAGS, "other")),
    *(f"in_{flag}" for flag in ("figure", "hidden", *AROUND)),
    *(f"word_{group}" for group in GROUPS),
    *(f"level{level}_{name}" for name in LEVEL for level in range(LEVELS)),
    *POSITION,
    *(f"{name}{shift:+d}" for shift in SHIFTS for name in NEAR),
    *(f"same_parent{shift:+d}" for shift in SHIFTS),
    *(f"same_element{shift:+d}" for shift in SHIFTS),
    *(f"window{size}_{name}" for name in ("chars", "link_share", "prose") for size in WINDOWS),
    *ALIKE,
    *PAGE,
    *(f"label_{label}" for label in LABELS),
    *(f"heading_{label}" for label in LABELS),
    "heading_distance",
    *(f"section_{label}" for label in LABELS),
    *(f"card{number}_{name}" for number in range(CARDS) for name in CARD),
    *(f"{anchor}_{name}" for anchor in ("title", "main") for name in RELATION),
    *TITLE_PLACE,
    *WORDING,
    *SAID,
)

# Columns of the running sums; row n holds the sums over the blocks before n.
SUM_CHARS, SUM_LINKED, SUM_PROSE, SUM_TEXTS, SUM_IMAGES, SUM_STOPS = range(6)
SUMS = 6

_LONG = 80  # characters: prose even without a sentence end
_MANY_LINKS = 0.3
_LOGS = np.log1p(np.arange(4096))  # of the small numbers, which most are


class Layout(NamedTuple):
    """What compiled code needs to know about the features of markup."""

    width: int
    tag_groups: Integers  # tag -> group
    tag_count: int  # groups
    heading: npt.NDArray[np.bool_]  # tag -> whether it is a heading
    flag_bits: Integers  # bits of an element's flags that are features
    first_word: int  # bit of the first group of class words
    word_count: int
    labels: Table
    once: npt.NDArray[np.bool_]  # tag -> whether a page says such a text once


def _tag_groups() -> npt.NDArray[np.int64]:
    groups = np.full(TAGS, len(_TAGS))
    for number, tags in enumerate(_TAGS.values()):
        groups[[tag_id(tag) for tag in tags]] = number
    return groups


_TAG_GROUPS = _tag_groups()
_LAYOUT = Layout(
    width=len(FEATURES),
    tag_groups=_TAG_GROUPS,
    tag_count=len(_TAGS) + 1,
    heading=np.isin(_TAG_GROUPS, [list(_TAGS).index(tag) for tag in _HEADINGS]),
    flag_bits=np.array(
        [FIGURE.bit_length() - 1, HIDDEN.bit_length() - 1]
        + [FIRST_AROUND + number for number in range(len(AROUND))]
    ),
    first_word=FIRST_BIT,
    word_count=len(GROUPS),
    labels=WORDS,
    once=~np.isin(_TAG_GROUPS, [list(_TAGS).index(tag) for tag in _REPEATED]),
)


class Blocks(NamedTuple):
    """What the content score sees of the blocks of a page."""

    rows: Floats  # one per block, one column for each of FEATURES
    kinds: Integers  # kind of markup of each block, numbered on this page
    lengths: Integers  # characters
    comments: npt.NDArray[np.bool_]  # whether it lies in a part for readers' comments
    copies: Integers  # number of its text, which copies of it share; -1 where it may come again


def describe(page: Walk, title: str | None, weights: Table) -> Blocks:
    """Compute the features of the blocks of a page, which has at least one.

    `weights`: of words, by their keys; see wording.py.
    """
    text = np.frombuffer(page.text or b"\0", np.uint8)
    heading = np.frombuffer((title or "").encode("utf-8", "replace") or b"\0", np.uint8)
    return Blocks(*describe_blocks(page.elements, page.blocks, text, heading, _LAYOUT, weights))


@compiled
def describe_blocks(
    elements: Integers,
    blocks: Integers,
    text: Bytes,
    title: Bytes,
    layout: Layout,
    weights: Table,
) -> tuple[Floats, Integers, Integers, npt.NDArray[np.bool_], Integers]:
    """Compute what Blocks holds."""
    elements, blocks = borrowed(elements), borrowed(blocks)
    text, title = borrowed(text), borrowed(title)
    size = len(blocks)
    rows, sums = np.empty((size, layout.width), np.float32), np.zeros((size + 1, SUMS))
    out = borrowed(rows)
    repeats, _, copies = group(blocks[:, HASH], np.ones(size, np.int64))
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
    first += len(ALIKE) + len(PAGE)
    top = title_block(elements, blocks)
    words = read_words(blocks, text)
    comments = _write_labels(out, first, elements, blocks, words, layout, top)
    _write_places(out, first + 3 * len(LABELS) + 1, elements, blocks, sums, top)
    first = layout.width - len(WORDING) - len(SAID)
    write_wording(out, first, elements, blocks, words, borrowed_table(weights))
    write_said(out, first + len(WORDING), words)
    for number in range(size):
        if lengths[number] < _COPY_CHARS or not layout.once[elements[blocks[number, ELEMENT], TAG]]:
            copies[number] = -1
    return rows, numbers, lengths, comments, copies


@called
def _write_labels(
    rows: Floats,
    first: int,
    elements: Integers,
    blocks: Integers,
    words: Words,
    layout: Layout,
    title: int,
) -> npt.NDArray[np.bool_]:
    """Write the words of each block, of the heading before it, and of the labels it lies under.

    Returns which blocks are readers' comments.
    """
    labels, keys = borrowed_table(layout.labels), borrowed(words.keys)
    size = len(rows)
    bits, heading = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for number in range(size):
        block = blocks[number]
        own = keys[words.starts[number] : words.starts[number + 1]]
        found = count_words(rows[number], first, own, labels)
        heading[number] = layout.heading[elements[block[ELEMENT], TAG]]
        bits[number] = found if block[CHARS] <= LABEL_CHARS else 0
    first += len(LABELS)
    write_headings(rows, first, bits, heading, blocks[:, CHARS])
    write_sections(rows, first + len(LABELS) + 1, bits, elements, blocks)
    return reader_comments(elements, blocks, bits, heading, title)


@called
def _write_places(
    rows: Floats, first: int, elements: Integers, blocks: Integers, sums: Floats, title: int
) -> None:
    """Write the cards around each block, and how it lies to the title and the main element."""
    keys = np.empty(len(elements), np.int64)
    shapes(elements, keys)
    filled = (elements[:, END] > elements[:, FIRST]).astype(np.int64)
    _, counts, siblings = group(keys, filled)
    for number in range(CARDS):
        write_cards(rows, first, elements, blocks, sums, siblings, counts, number + 1)
        first += len(CARD)
    anchor = blocks[title, ELEMENT] if title >= 0 else 0
    write_relation(rows, first, elements, blocks, sums[:, SUM_CHARS], anchor)
    main = main_element(elements, blocks, sums[:, SUM_PROSE])
    first += len(RELATION)
    write_relation(rows, first, elements, blocks, sums[:, SUM_CHARS], main)
    write_title_place(rows, first + len(RELATION), title)


@compiled
def _text(row: Floats, block: Integers, text: Bytes, title: Bytes, repeats: int) -> None:
    """Write the features of a block's own text, in the order of TEXT."""
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
    """Tell whether some bytes contain others."""
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
def _markup(row: Floats, first: int, elements: Integers, element: int, layout: Layout) -> int:
    """Write depth, tags, elements around and class words; return the kind of markup as a hash."""
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
    return int64(own * 31 + outer * 17 + tag * 7 + depth)  # may overflow


@called
def _levels(elements: Integers, sums: Floats) -> Floats:
    """Compute the statistics of each element, in the order of LEVEL."""
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
def _chain(row: Floats, first: int, elements: Integers, element: int, levels: Floats) -> None:
    """Write the statistics of the block's element and of the elements around it."""
    for level in range(LEVELS):
        for name in range(len(LEVEL)):
            row[first + name * LEVELS + level] = levels[element, name]
        element = elements[element, PARENT]


# The blocks around a block, and the whole page.


@compiled
def write_positions(row: Floats, first: int, number: int, size: int, sums: Floats) -> None:
    """Write where the block lies on the page."""
    row[first] = number / size
    row[first + 1] = sums[number, SUM_CHARS] / max(1.0, sums[size, SUM_CHARS])
    row[first + 2] = sums[number, SUM_PROSE] / max(1.0, sums[size, SUM_PROSE])
    row[first + 3] = log(size - number)
    row[first + 4] = log(number)


@called
def write_near(
    rows: Floats, first: int, elements: Integers, blocks: Integers, heading: npt.NDArray[np.bool_]
) -> None:
    """Write what the blocks before and after are like, and whether they share its element."""
    size = len(rows)
    near = np.empty((size, len(NEAR)), np.float32)
    for number in range(size):
        row, element = rows[number], blocks[number, ELEMENT]
        near[number, 0], near[number, 1] = row[_CHARS], row[_LINK_SHARE]
        near[number, 2], near[number, 3] = row[_ENDS], row[_IMAGE]
        near[number, 4], near[number, 5] = row[_STOPS], row[_COMMAS]
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


@called
def write_windows(rows: Floats, first: int, sums: Floats) -> None:
    """Write how much text and prose lie around, and how much of the text is in links."""
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


@called
def write_alike(rows: Floats, first: int, kinds: Integers, lengths: Integers) -> Integers:
    """Write how many blocks have the same kind of markup, and how much text is in them."""
    blocks, chars, numbers = group(kinds, lengths)
    everything = max(1, lengths.sum())
    for number in range(len(rows)):
        row = rows[number]
        row[first] = log(blocks[number])
        row[first + 1] = np.log1p(chars[number] / blocks[number])
        row[first + 2] = chars[number] / everything
    return numbers


@called
def write_page(rows: Floats, first: int, sums: Floats) -> None:
    """Write the statistics of the whole page."""
    whole = sums[-1]
    some = max(1.0, whole[SUM_CHARS])
    for number in range(len(rows)):
        row = rows[number]
        row[first] = log(whole[SUM_CHARS])
        row[first + 1] = whole[SUM_LINKED] / some
        row[first + 2] = log(len(rows))
        row[first + 3] = whole[SUM_PROSE] / some
        row[first + 4] = log(whole[SUM_IMAGES])


# Running sums.


@compiled
def log(number: float) -> float:
    """Return log1p of a number, mostly a small integer."""
    whole = int(number)
    return float(_LOGS[whole] if whole == number and whole < len(_LOGS) else np.log1p(number))


@compiled
def add_up(sums: Floats, number: int, block: Integers, link_share: float) -> None:
    """Add a block to the running sums."""
    chars, stops = block[CHARS], block[COUNTS + STOP]
    prose = link_share < _MANY_LINKS and (stops > 0 or chars > _LONG)
    after, before = sums[number + 1], sums[number]
    after[SUM_CHARS] = before[SUM_CHARS] + chars
    after[SUM_LINKED] = before[SUM_LINKED] + chars * link_share
    after[SUM_PROSE] = before[SUM_PROSE] + (chars if prose else 0)
    after[SUM_TEXTS] = before[SUM_TEXTS] + (chars > 0)
    after[SUM_IMAGES] = before[SUM_IMAGES] + (block[KIND] == AN_IMAGE)
    after[SUM_STOPS] = before[SUM_STOPS] + stops
