"""What the walk collects of a page: columns that compiled code fills and numpy reads in place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benben.pipeline.compiled import borrowed, compiled
from benben.pipeline.page.dom.characters import CLASS_COUNT
from benben.pipeline.page.dom.elements import Bytes, Integers, Table

# Block elements in document order, the root first. FIRST and END are the element's range of blocks,
# POSITION its place among its parent's elements, from 1.
PARENT, TAG, POSITION, FLAGS, DEPTH, FIRST, END = range(7)
ELEMENT_WIDTH = 7

# Blocks in reading order: texts, images and article breaks.
KIND, ELEMENT, START, STOP, CHARS, LINKED, HASH, FIRST_CLASS, LAST_CLASS, COUNTS = range(10)
BLOCK_WIDTH = COUNTS + CLASS_COUNT
A_TEXT, AN_IMAGE, A_BREAK = range(3)  # KIND

# Images: their block, what their element says (parts of `notes`), and the path from the block
# element (bytes of `notes`).
IMAGE_BLOCK, NOTE_START, NOTE_STOP, PATH_START, PATH_STOP = range(5)
IMAGE_WIDTH = 5

# Elements that say something of the page: title, meta, link, base, script (parts of `notes`).
FACT_TAG, FACT_START, FACT_STOP = range(3)
FACT_WIDTH = 3

# Counters of the walk.
(
    ELEMENTS, BLOCKS, IMAGES, FACTS, WRITTEN, PIECE, SOLID, PENDING, WAS_LINKED,
    NOTED, PARTS, STATUS,
) = range(12)  # fmt: skip
COUNTERS = 12
TOO_DEEP = 1  # STATUS

# Marks in `notes`: in place of an attribute's number.
NEXT_ELEMENT, CONTENT = 1, 2


class Columns(NamedTuple):
    """The columns, and how far each is filled."""

    elements: Integers  # rows of ELEMENT_WIDTH
    blocks: Integers  # rows of BLOCK_WIDTH
    images: Integers  # rows of IMAGE_WIDTH
    facts: Integers  # rows of FACT_WIDTH
    text: Bytes  # UTF-8 of the blocks
    notes: Bytes  # parts that a zero ends: an attribute's number and its value, or a path; UTF-8
    at: Integers  # COUNTERS
    memo: Table  # flags of the values of class and id


class Sizes(NamedTuple):
    """How much a page can fill at most."""

    elements: int
    texts: int
    images: int
    text_bytes: int
    attribute_bytes: int
    depth: int


IMAGE_PATH_LEVELS = 32  # inline elements around an image that its path names
_MEMO_SLOTS = 1024
_LEVEL_BYTES = 32  # of an inline element's name and position


def allocate(sizes: Sizes) -> Columns:
    """Empty columns."""
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
        memo=Table(np.zeros(_MEMO_SLOTS, np.int64), np.zeros(_MEMO_SLOTS, np.int64)),
    )


@compiled
def borrow(columns: Columns) -> Columns:
    """The columns without reference counts, for the inside of compiled code."""
    return Columns(
        borrowed(columns.elements),
        borrowed(columns.blocks),
        borrowed(columns.images),
        borrowed(columns.facts),
        borrowed(columns.text),
        borrowed(columns.notes),
        borrowed(columns.at),
        Table(borrowed(columns.memo.keys), borrowed(columns.memo.values)),
    )
