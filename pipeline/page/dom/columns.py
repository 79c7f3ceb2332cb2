"""What the walk collects of a page: columns that compiled code fills, and how text gets into them.

Every table is a numpy array with one row per item; the constants below number its columns. Sizes
are measured before the walk, so nothing grows while it runs. White space is collapsed, lines are
broken and characters are counted while text is copied, so that no character is read twice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benben.pipeline.characters import BREAK, CLASS_COUNT, SPACE, WHITE
from benben.pipeline.compiled import Bytes, Integers, borrowed, byte_at, compiled, int64
from benben.pipeline.hash_tables import Table, borrowed_table, empty_table
from benben.pipeline.page.dom.elements import PRE
from benben.pipeline.page.dom.lexbor import quick_hash

# Block elements in document order, the root first. FIRST and END are the range of blocks inside the
# element, POSITION its place among its parent's elements, from 1.
PARENT, TAG, POSITION, FLAGS, DEPTH, FIRST, END = range(7)
ELEMENT_WIDTH = 7

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

# State of the walk: rows used of each table, then where the text stands. PIECE is where the
# current block's text begins, SOLID the end of its last character that is not white space, PENDING
# what lies between that character and the next, WAS_LINKED whether that character is in a link.
(
    ELEMENTS, BLOCKS, IMAGES, FACTS, WRITTEN, PIECE, SOLID, PENDING, WAS_LINKED,
    NOTED, PARTS, STATUS,
) = range(12)  # fmt: skip
COUNTERS = 12
TOO_DEEP = 1  # STATUS

# In `notes`, these stand in place of an attribute's number.
NEXT_ELEMENT, CONTENT, OTHER = 1, 2, 3

IMAGE_PATH_LEVELS = 32  # inline elements around an image that its path names
_MEMO_ENTRIES = 256
_LEVEL_BYTES = 32  # of an inline element's name and position

# PENDING: nothing, white space, one <br>, several.
NOTHING, BLANK, ONE_LINE, EMPTY_LINE = range(4)
_SPACE, _NEWLINE = 32, 10
_LAST_CODE = 0xFFFF


class Columns(NamedTuple):
    """The tables of one page, and how far each is filled."""

    elements: Integers  # rows of ELEMENT_WIDTH
    blocks: Integers  # rows of BLOCK_WIDTH
    images: Integers  # rows of IMAGE_WIDTH
    facts: Integers  # rows of FACT_WIDTH
    text: Bytes  # UTF-8 of the blocks
    notes: Bytes  # UTF-8 parts that end in a zero: an attribute's number and value, or a path
    at: Integers  # COUNTERS
    memo: Table  # flags of values of class and id that were read before


class Sizes(NamedTuple):
    """What a page can fill at most."""

    elements: int
    texts: int
    images: int
    text_bytes: int
    attribute_bytes: int
    depth: int


def allocate(sizes: Sizes) -> Columns:
    """Make empty columns."""
    blocks = sizes.texts + sizes.elements + 1
    paths = sizes.images * (IMAGE_PATH_LEVELS + 1) * _LEVEL_BYTES
    return Columns(
        elements=np.empty((sizes.elements + 2, ELEMENT_WIDTH), np.int64),
        blocks=np.empty((blocks + 1, BLOCK_WIDTH), np.int64),
        images=np.empty((sizes.elements + 1, IMAGE_WIDTH), np.int64),
        facts=np.empty((sizes.elements + 1, FACT_WIDTH), np.int64),
        text=np.empty(sizes.text_bytes + sizes.elements + 1, np.uint8),
        notes=np.empty(
            2 * sizes.attribute_bytes + sizes.text_bytes + paths + sizes.images + 1, np.uint8
        ),
        at=np.zeros(COUNTERS, np.int64),
        memo=empty_table(_MEMO_ENTRIES),
    )


@compiled
def borrow(columns: Columns) -> Columns:
    """Return the columns without reference counts, for use inside compiled code."""
    return Columns(
        borrowed(columns.elements),
        borrowed(columns.blocks),
        borrowed(columns.images),
        borrowed(columns.facts),
        borrowed(columns.text),
        borrowed(columns.notes),
        borrowed(columns.at),
        borrowed_table(columns.memo),
    )


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
        if classes[code] & WHITE:
            pending = max(pending, BLANK)
            address += size
            continue
        if pending and end > at[PIECE]:
            if pending == EMPTY_LINE:
                at[WRITTEN] = end
                end_block(out, element, end)
                row = out.blocks[at[BLOCKS]]
            else:
                text[end] = _SPACE if pending == BLANK else _NEWLINE
                end += 1
                row[COUNTS + (SPACE if pending == BLANK else BREAK)] += 1
                row[CHARS] += 1
                row[LINKED] += in_link & at[WAS_LINKED]
        pending = NOTHING
        address, end = _add_word(out, classes, address, stop, end, in_link)
        at[WAS_LINKED] = in_link
    at[WRITTEN], at[PENDING] = end, pending


@compiled
def _add_word(
    out: Columns, classes: Bytes, address: int, stop: int, end: int, in_link: int
) -> tuple[int, int]:
    """Append characters up to white space; return where they end on the page and in `text`."""
    text, row = out.text, out.blocks[out.at[BLOCKS]]
    code, size = decode(address, stop)
    kind = last = classes[code]
    if row[CHARS] == 0:
        row[FIRST_CLASS] = kind
    chars = 0
    while kind & WHITE == 0:
        for place in range(size):
            text[end + place] = byte_at(address + place)
        row[COUNTS + kind] += 1
        chars, last = chars + 1, kind
        address, end = address + size, end + size
        if address >= stop:
            break
        code, size = decode(address, stop)
        kind = classes[code]
    row[LAST_CLASS] = last
    row[CHARS] += chars
    row[LINKED] += chars * in_link
    return address, end


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


@compiled
def add_preformatted(out: Columns, classes: Bytes, address: int, length: int, linked: bool) -> None:
    """Append a text node as it is written, except for line breaks at the start of its block."""
    at, text = out.at, out.text
    end, stop = at[WRITTEN], address + length
    row = out.blocks[at[BLOCKS]]
    while address < stop:
        code, size = decode(address, stop)
        if code == _NEWLINE and end == at[PIECE]:
            address += size
            continue
        kind = classes[code]
        for place in range(size):
            text[end + place] = byte_at(address + place)
        end += size
        address += size
        if kind & WHITE:
            continue
        _count_blanks(out, classes, at[SOLID], end - size, linked)
        row[LAST_CLASS] = kind
        row[COUNTS + kind] += 1
        row[CHARS] += 1
        row[LINKED] += linked
        at[SOLID] = end
    at[WRITTEN] = end


@compiled
def _count_blanks(out: Columns, classes: Bytes, start: int, stop: int, linked: bool) -> None:
    """Count white space of preformatted text, once a character behind it is known to follow."""
    row, base = out.blocks[out.at[BLOCKS]], out.text.ctypes.data
    if start == out.at[PIECE]:
        code, _ = decode(base + start, base + len(out.text))
        row[FIRST_CLASS] = classes[code] & ~WHITE
    while start < stop:
        code, size = decode(base + start, base + stop)
        row[COUNTS + (classes[code] & ~WHITE)] += 1
        row[CHARS] += 1
        row[LINKED] += linked
        start += size


@compiled
def break_line(out: Columns, element: int) -> None:
    """Take a <br>: one breaks the line, several end the block."""
    at = out.at
    if out.elements[element, FLAGS] & PRE:
        if at[WRITTEN] > at[PIECE]:
            out.text[at[WRITTEN]] = _NEWLINE
            at[WRITTEN] += 1
    else:
        at[PENDING] = EMPTY_LINE if at[PENDING] >= ONE_LINE else ONE_LINE


@compiled
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
    row[HASH] = quick_hash(out.text.ctypes.data + at[PIECE], end - at[PIECE])
    at[PIECE] = at[SOLID] = at[WRITTEN]
    at[WAS_LINKED] = 0
    begin_block(out)


@compiled
def begin_block(out: Columns) -> None:
    """Start the next row with all counts at zero."""
    out.at[BLOCKS] += 1
    out.blocks[out.at[BLOCKS]] = 0
