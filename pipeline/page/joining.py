"""Which blocks of text make one text node: a table's row, OBELICS's paragraph, or a whole run."""

from __future__ import annotations

import numpy as np

from benben.pipeline.compiled import compiled
from benben.pipeline.page.columns import A_TEXT, ELEMENT, END, FIRST, KIND, PARENT, TAG
from benben.pipeline.page.dom import (
    NO_GAP,
    PARAGRAPH,
    SEPARATORS,
    Bytes,
    Integers,
    Plan,
    tag_id,
)
from benben.pipeline.page.walked import Walk
from benben.pipeline.settings.extract import ExtractSettings

JOINS = (*SEPARATORS, " | ")  # what stands between joined blocks
_CELL = len(SEPARATORS)
APART = -1  # a block that begins a node
_ROW, _DATA, _HEAD = tag_id("tr"), tag_id("td"), tag_id("th")
_LIMITS = {"block": 0, "paragraph": PARAGRAPH, "run": PARAGRAPH + 1}


def join_blocks(page: Walk, plan: Plan, settings: ExtractSettings) -> Integers:
    """For each block, the number in JOINS of what joins it to the block before, or APART."""
    joins = np.full(len(page.blocks), APART)
    if settings.table_rows:
        _join_rows(page.elements, page.blocks, joins)
    if limit := _LIMITS[settings.texts]:
        _join_runs(page.elements, page.blocks, plan.tables.gaps, limit, joins)
    return joins


@compiled
def _join_rows(elements: Integers, blocks: Integers, joins: Integers) -> None:
    """Join rows all of whose cells hold one text and nothing else; others are layout."""
    for row in range(len(elements)):
        if elements[row, TAG] != _ROW:
            continue
        first, end = elements[row, FIRST], elements[row, END]
        plain = end - first > 1
        for place in range(first, end):
            cell = blocks[place, ELEMENT]
            plain = plain and (
                blocks[place, KIND] == A_TEXT
                and elements[cell, PARENT] == row
                and (elements[cell, TAG] == _DATA or elements[cell, TAG] == _HEAD)
                and (place == first or blocks[place - 1, ELEMENT] != cell)
            )
        if plain:
            joins[first + 1 : end] = _CELL


@compiled
def _join_runs(
    elements: Integers, blocks: Integers, gaps: Bytes, limit: int, joins: Integers
) -> None:
    """Join neighbouring texts whose break is weaker than `limit`."""
    for place in range(1, len(blocks)):
        if (
            joins[place] == APART
            and blocks[place, KIND] == A_TEXT
            and blocks[place - 1, KIND] == A_TEXT
        ):
            gap = _gap(elements, gaps, blocks[place - 1, ELEMENT], blocks[place, ELEMENT])
            if gap < limit:
                joins[place] = gap


@compiled
def _gap(elements: Integers, gaps: Bytes, left: int, right: int) -> int:
    """Break between blocks of two elements: the strongest of the elements between them.

    Blocks of one element were parted by a blank line (two <br>) or by an element without text.
    """
    if left == right:
        return PARAGRAPH
    gap = NO_GAP
    while left != right:
        # Elements are numbered in document order: the later one is no ancestor.
        later = max(left, right)
        gap = max(gap, np.int64(gaps[elements[later, TAG]]))
        if left > right:
            left = elements[left, PARENT]
        else:
            right = elements[right, PARENT]
    return gap
