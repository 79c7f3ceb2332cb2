"""What the walk collects of a page: columns that compiled code fills, and how text gets into them.

Every table is a numpy array with one row per item; the constants below number its columns. Sizes
are measured before the walk, so nothing grows while it runs. White space is collapsed, lines are
broken and characters are counted while text is copied, so that no character is read twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from benben.pipeline.characters import (
    BREAK,
    CLASS,
    CLASS_COUNT,
    JOINER,
    MARK,
    SPACE,
    UNSEEN,
    WHITE,
    WIDE,
)
from benben.pipeline.compiled import Bytes, Integers, byte_at, called, compiled, int64
from benben.pipeline.hash_tables import Table, empty_table, make_table
from benben.pipeline.page.dom.elements import LINES, PRE, QUIET, TEXT_FREE, Tables
from benben.pipeline.page.dom.lexbor import quick_hash
from benben.pipeline.references import address_of

# Block elements in document order, the root first. FIRST and END are the range of blocks inside the
# element, POSITION its place among its parent's elements, from 1. A cell of a table is COLUMNS_WIDE
# and ROWS_HIGH.
PARENT, TAG, POSITION, FLAGS, DEPTH, FIRST, END, COLUMNS_WIDE, ROWS_HIGH = range(9)
ELEMENT_WIDTH = 9

# Blocks in reading order: texts, images and article breaks. START and STOP are bytes of `text`;
# CHARS, LINKED (inside links) and COUNTS (by class of character) count characters.
KIND, ELEMENT, START, STOP, CHARS, LINKED, HASH, FIRST_CLASS, LAST_CLASS, COUNTS = range(10)
BLOCK_WIDTH = COUNTS + CLASS_COUNT
A_TEXT, AN_IMAGE, A_BREAK = range(3)  # KIND

# Images: their block, their attributes (parts of `notes`), and the path from the block element
# around them (bytes of `notes`).
IMAGE_BLOCK, NOTE_START, NOTE_STOP, PATH_START, PATH_STOP = range(5)
IMAGE_WIDTH = 5

# Elements that say something about the page: title, meta, link, base, script (parts of `notes`).
FACT_TAG, FACT_START, FACT_STOP = range(3)
FACT_WIDTH = 3

# What the walk keeps of each level above the current node.
LEVEL_NODE, LEVEL_KIND, LEVEL_POSITION, LEVEL_TAG = range(4)
LEVEL_WIDTH = 4

# State of the walk: rows used of each table, then where the text stands. PIECE is where the
# current block's text begins, SOLID the end of its last character that is not white space, PENDING
# what lies between that character and the next, WAS_LINKED whether that character is in a link and
# LAST its code point. QUOTED is how many <q> are open. PROSE and TITLES are what the page has in
# all; LOOKS is how many nodes may still be looked at before the walk comes to them; REPLACED is
# whether there are replacements, NOTED_LINK the last link that was noted with an image. ROW_START
# is where the text of the current row of a table in preformatted text begins.
(
    ELEMENTS, BLOCKS, IMAGES, FACTS, WRITTEN, PIECE, SOLID, PENDING, WAS_LINKED, LAST, QUOTED,
    NOTED, PARTS, STATUS, PROSE, TITLES, LOOKS, REPLACED, NOTED_LINK, ROW_START,
) = range(20)  # fmt: skip
COUNTERS = 20
TOO_DEEP = 1  # STATUS

# In `notes`, these stand in place of an attribute's number.
NEXT_ELEMENT, CONTENT, OTHER = 1, 2, 3

IMAGE_PATH_LEVELS = 32  # inline elements around an image that its path names
_LOOKS = 20  # times its elements: nested elements that are each looked through must not cost more
_MEMO_ENTRIES = 256
_LEVEL_BYTES = 32  # of an inline element's name and position

# PENDING: nothing, white space, white space with a line break, one <br>, several.
NOTHING, BLANK, SEGMENT, ONE_LINE, EMPTY_LINE = range(5)
SCRATCH = 32  # bytes of a short text that the walk looks at before it takes it
MARK_BYTES = 4 * SCRATCH  # that an element of `Sizes.marks` may add
_SPACE, _NEWLINE, _NO_BREAK = 32, 10, 0xA0
KEEP = -1  # in place of the number of a text
_NOTHING_REPLACED = Table(np.zeros(64, np.int64), np.zeros(64, np.int64), 6)
_SILENT = QUIET | TEXT_FREE
_LAST_CODE = 0xFFFF
_LONGEST = 4  # bytes of a character


class Columns(NamedTuple):
    """The tables of one page, and how far each is filled."""

    elements: Integers  # rows of ELEMENT_WIDTH
    blocks: Integers  # rows of BLOCK_WIDTH
    images: Integers  # rows of IMAGE_WIDTH
    facts: Integers  # rows of FACT_WIDTH
    levels: Integers  # rows of LEVEL_WIDTH
    text: Bytes  # UTF-8 of the blocks
    notes: Bytes  # UTF-8 parts that end in a zero: an attribute's number and value, or a path
    at: Integers  # COUNTERS
    memo: Table  # flags of values of class, id and style that were read before
    replaced: Table  # address of an element -> number of its text in `others` from 1, or KEEP
    others: Bytes  # UTF-8 of texts that stand for elements
    other_ends: Integers
    scratch: Bytes  # a short text of SCRATCH, and what it becomes


class Sizes(NamedTuple):
    """What a page can fill at most."""

    elements: int
    texts: int
    images: int
    text_bytes: int
    attribute_bytes: int
    depth: int
    marks: int  # elements that add marks to the text: quotation marks, raised digits
    formulas: int  # elements that may be formulas
    prose: int  # bytes of text outside links
    titles: int  # <h1> with text


def allocate(sizes: Sizes, replaced: Mapping[int, str | None]) -> Columns:
    """Make empty columns. `replaced`: texts for elements by their address; None keeps one."""
    texts = [text.encode("utf-8", "replace") for text in replaced.values() if text is not None]
    ends = np.cumsum([0, *(len(text) for text in texts)])
    blocks = sizes.texts + sizes.elements + 1
    elements = np.empty((sizes.elements + 2, ELEMENT_WIDTH), np.int64)
    rows = np.empty((blocks + 1, BLOCK_WIDTH), np.int64)
    elements[0] = rows[0] = 0
    at = np.zeros(COUNTERS, np.int64)
    at[REPLACED] = len(replaced) > 0
    at[PROSE], at[TITLES], at[LOOKS] = sizes.prose, sizes.titles, _LOOKS * (sizes.elements + 1)
    paths = sizes.images * (IMAGE_PATH_LEVELS + 1) * _LEVEL_BYTES
    return Columns(
        elements=elements,
        blocks=rows,
        images=np.empty((sizes.elements + 1, IMAGE_WIDTH), np.int64),
        facts=np.empty((sizes.elements + 1, FACT_WIDTH), np.int64),
        levels=np.empty((sizes.depth + 2, LEVEL_WIDTH), np.int64),
        text=np.empty(
            sizes.text_bytes
            + ends[-1]
            + 2 * sizes.elements
            + sizes.texts
            + MARK_BYTES * sizes.marks
            + 1,
            np.uint8,
        ),
        notes=np.empty(
            2 * sizes.attribute_bytes
            + sizes.text_bytes
            + paths
            + sizes.images
            + 2 * sizes.texts  # of each text that is a value: its number and its end
            + 1,
            np.uint8,
        ),
        at=at,
        memo=empty_table(_MEMO_ENTRIES),
        replaced=_numbered(replaced) if replaced else _NOTHING_REPLACED,
        others=np.frombuffer(b"".join(texts) or b" ", np.uint8),
        other_ends=ends,
        scratch=np.empty(4 * SCRATCH, np.uint8),
    )


def _numbered(replaced: Mapping[int, str | None]) -> Table:
    """Number the texts of elements from 1 by the elements' addresses."""
    numbers = np.cumsum([text is not None for text in replaced.values()])
    numbers[[text is None for text in replaced.values()]] = KEEP
    return make_table(np.array(list(replaced), np.int64), numbers)


@called
def write_text(
    out: Columns, tables: Tables, address: int, length: int, element: int, linked: bool
) -> None:
    """Append text as the element around it has it."""
    flags = out.elements[element, FLAGS]
    if flags & _SILENT == 0:
        if flags & PRE:
            add_preformatted(out, tables.classes, address, length, linked)
        else:
            add_text(out, tables.classes, element, address, length, linked)


@compiled
def add_text(
    out: Columns, classes: Bytes, element: int, address: int, length: int, linked: bool
) -> None:
    """Append a text node with its white space collapsed; `linked`: it lies inside a link."""
    at, text = out.at, out.text
    end, pending, stop = at[WRITTEN], at[PENDING], address + length
    in_link = int64(linked)
    row = out.blocks[at[BLOCKS]]
    while address < stop:
        code, size = decode(address, stop)
        kind = classes[code]
        if kind & (WHITE | UNSEEN):
            if kind & WHITE:
                pending = _wait(pending, code, out.elements[element, FLAGS])
            address += size
            continue
        if pending and end > at[PIECE]:
            if pending == EMPTY_LINE:
                at[WRITTEN] = end
                end_block(out, element, end)
                row = out.blocks[at[BLOCKS]]
            elif pending != SEGMENT or not _are_wide(classes[at[LAST]], kind):
                is_line = pending == ONE_LINE
                text[end] = _NEWLINE if is_line else _SPACE
                end += 1
                row[COUNTS + (BREAK if is_line else SPACE)] += 1
                row[CHARS] += 1
                row[LINKED] += in_link & at[WAS_LINKED]
        pending = NOTHING
        address, end = _add_word(out, classes, address, stop, end, in_link)
        at[WAS_LINKED] = in_link
    at[WRITTEN], at[PENDING] = end, pending


@compiled
def _wait(pending: int, code: int, flags: int) -> int:
    """Return what lies between two words after one more character of white space."""
    if code != _NEWLINE:
        return max(pending, int64(BLANK))
    if flags & LINES == 0:
        return max(pending, int64(SEGMENT))
    return int64(EMPTY_LINE if pending >= ONE_LINE else ONE_LINE)


@compiled
def _are_wide(left: int, right: int) -> bool:
    """Tell whether a line break between two characters is not rendered."""
    both = left & right
    return both & WIDE != 0 or ((left | right) & WIDE != 0 and (left | right) & MARK != 0)


@compiled
def _add_word(
    out: Columns, classes: Bytes, address: int, stop: int, end: int, in_link: int
) -> tuple[int, int]:
    """Append characters up to white space; return where they end on the page and in `text`."""
    at, text, row = out.at, out.text, out.blocks[out.at[BLOCKS]]
    code, size = decode(address, stop)
    kind = classes[code]
    if row[CHARS] == 0:
        row[FIRST_CLASS] = kind & CLASS
    chars, last = 0, code
    while kind & WHITE == 0:
        if kind & UNSEEN == 0 or (kind & JOINER and joins(last)):
            for place in range(size):
                text[end + place] = byte_at(address + place)
            row[COUNTS + (kind & CLASS)] += 1
            chars, end, last = chars + 1, end + size, code
        address += size
        if address >= stop:
            break
        code, size = decode(address, stop)
        kind = classes[code]
    at[LAST] = last
    row[LAST_CLASS] = classes[last] & CLASS
    row[CHARS] += chars
    row[LINKED] += chars * in_link
    return address, end


@compiled
def joins(before: int) -> bool:
    """Tell whether a joiner counts behind a character: in scripts that use it, and in emoji.

    Those from Hebrew to Mongolian, symbols, and what lies at the end of the plane or beyond it.
    """
    return 0x0590 <= before < 0x2000 or 0x2190 <= before < 0x2E80 or before >= 0xFB1D


@compiled
def decode(address: int, stop: int) -> tuple[int, int]:
    """Code point and size in bytes of the UTF-8 character at an address before `stop`."""
    lead = byte_at(address)
    if lead < 0x80:
        return int64(lead), 1
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if address + size > stop:
        return _LAST_CODE, stop - address
    code = int64(lead) & (0x7F >> size)
    for place in range(1, size):
        code = code << 6 | int64(byte_at(address + place)) & 0x3F
    return min(code, _LAST_CODE), size


@called
def add_preformatted(out: Columns, classes: Bytes, address: int, length: int, linked: bool) -> None:
    """Append a text node as it is written, except for line breaks at the start of its block."""
    at, text = out.at, out.text
    end, stop = at[WRITTEN], address + length
    row = out.blocks[at[BLOCKS]]
    if length and at[PENDING] == ONE_LINE:
        at[PENDING] = NOTHING
        if byte_at(address) != _NEWLINE and end > at[PIECE]:
            text[end] = _NEWLINE
            end += 1
    while address < stop:
        code, size = decode(address, stop)
        kind = classes[code]
        address += size
        if (code == _NEWLINE and end == at[PIECE]) or (
            kind & UNSEEN and not (kind & JOINER and joins(at[LAST]))
        ):
            continue
        for place in range(size):
            text[end + place] = byte_at(address - size + place)
        if code == _NO_BREAK:  # a blank of code, which editors of pages write so
            text[end], size = _SPACE, 1
        end += size
        if kind & WHITE:
            continue
        _count_blanks(out, classes, at[SOLID], end - size, linked)
        row[LAST_CLASS] = kind & CLASS
        row[COUNTS + (kind & CLASS)] += 1
        row[CHARS] += 1
        row[LINKED] += linked
        at[SOLID], at[LAST] = end, code
    at[WRITTEN] = end


@compiled
def _count_blanks(out: Columns, classes: Bytes, start: int, stop: int, linked: bool) -> None:
    """Count white space of preformatted text, once a character behind it is known to follow."""
    row, base = out.blocks[out.at[BLOCKS]], address_of(out.text)
    if start == out.at[PIECE]:
        code, _ = decode(base + start, base + stop + _LONGEST)
        row[FIRST_CLASS] = classes[code] & CLASS
    while start < stop:
        code, size = decode(base + start, base + stop)
        row[COUNTS + (classes[code] & CLASS)] += 1
        row[CHARS] += 1
        row[LINKED] += linked
        start += size


@compiled
def break_line(out: Columns, element: int) -> None:
    """Take a <br>: one breaks the line, several end the block."""
    at = out.at
    if out.elements[element, FLAGS] & PRE:
        if at[WRITTEN] > at[PIECE]:
            for _ in range(2 if at[PENDING] else 1):
                out.text[at[WRITTEN]] = _NEWLINE
                at[WRITTEN] += 1
        at[PENDING] = NOTHING
    else:
        at[PENDING] = EMPTY_LINE if at[PENDING] >= ONE_LINE else ONE_LINE


@compiled
def end_code_line(out: Columns) -> None:
    """Let what follows in preformatted text begin a line, if the last one is not yet broken."""
    at = out.at
    if at[WRITTEN] > at[PIECE] and out.text[at[WRITTEN] - 1] != _NEWLINE:
        at[PENDING] = ONE_LINE


@called
def flush(out: Columns, element: int) -> None:
    """End the current block, if there is text in it."""
    at = out.at
    end = at[SOLID] if out.elements[element, FLAGS] & PRE else at[WRITTEN]
    if end > at[PIECE]:
        end_block(out, element, end)
    else:
        at[PIECE] = at[SOLID] = at[WRITTEN]
    at[PENDING] = NOTHING


@compiled
def end_block(out: Columns, element: int, end: int) -> None:
    """Make the text since the last block a block of an element."""
    at = out.at
    row = out.blocks[at[BLOCKS]]
    row[KIND], row[ELEMENT], row[START], row[STOP] = A_TEXT, element, at[PIECE], end
    row[HASH] = quick_hash(address_of(out.text) + at[PIECE], end - at[PIECE])
    at[PIECE] = at[SOLID] = at[WRITTEN]
    at[WAS_LINKED] = 0
    begin_block(out)


@compiled
def begin_block(out: Columns) -> None:
    """Start the next row with all counts at zero."""
    out.at[BLOCKS] += 1
    row = out.blocks[out.at[BLOCKS]]
    for column in range(BLOCK_WIDTH):
        row[column] = 0
