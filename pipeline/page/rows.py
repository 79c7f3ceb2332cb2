"""Rows of data tables: which blocks are cells of one row, and where empty cells stand between them.

A row is joined if all it holds is text, one text a cell; in a table with header cells a cell may
hold several, such as paragraphs. Other rows are layout. In a table an empty cell counts where its
column has text in another row; columns that are empty throughout are spacing. What a cell spans
besides its first column and row is empty cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benben.pipeline.compiled import Integers, called, compiled
from benben.pipeline.page.dom.columns import (
    A_TEXT,
    COLUMNS_WIDE,
    ELEMENT,
    END,
    FIRST,
    KIND,
    PARENT,
    ROWS_HIGH,
    TAG,
)
from benben.pipeline.page.dom.elements import NO_GAP, SPACE, tag_id

_ROW, _DATA, _HEAD, _TABLE = (tag_id(name) for name in ("tr", "td", "th", "table"))
_GROUPS = tuple(tag_id(name) for name in ("thead", "tbody", "tfoot"))
_INSIDE = 3  # levels of elements between a cell and its text
_COLUMNS = 64  # of a table, of which empty cells are told apart
_LAYOUT = -1
BORDER = " | "  # between cells

Small = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


class Borders(NamedTuple):
    """How many borders of cells stand before and behind the text of each block."""

    before: Small
    behind: Small


class Cells(NamedTuple):
    """Tables, rows and cells by the number of their element."""

    table: Small  # of a table or row: number of the table from 1, or 0
    size: Small  # of a row: its columns
    cells: Small  # of a row: its cells, those that reach into it among them
    filled: Small  # of a row: its cells with text, or _LAYOUT
    column: Small  # of a cell
    covered: Small  # by table and column: rows that a cell above still reaches into, this one too
    headed: Flags  # by table: whether it has header cells
    rows: Small  # by table: rows with text in several cells
    used: Flags  # by table and column: whether a cell holds text


@compiled
def join_rows(elements: Integers, blocks: Integers, joins: Integers) -> Borders:
    """Join the blocks of each row of a data table in `joins`; return the borders between them."""
    borders = Borders(np.zeros(len(blocks), np.int32), np.zeros(len(blocks), np.int32))
    cells = _find_cells(elements)
    if len(cells.headed) > 1:
        _fill_rows(elements, blocks, cells)
        for row in range(len(elements)):
            filled = cells.filled[row]
            whole = cells.headed[cells.table[row]] or cells.rows[cells.table[row]] > 1
            if filled > 1 or (filled == 1 and whole and cells.cells[row] > 1):
                _join_row(elements, blocks, cells, row, whole, joins, borders)
    return borders


@called
def _find_cells(elements: Integers) -> Cells:
    """Number the tables, and the cells of their rows."""
    size = len(elements)
    count = (elements[:, TAG] == _TABLE).sum() + 1
    cells = Cells(
        np.zeros(size, np.int32),
        np.zeros(size, np.int32),
        np.zeros(size, np.int32),
        np.zeros(size, np.int32),
        np.zeros(size, np.int32),
        np.zeros((count, _COLUMNS), np.int32),
        np.zeros(count, np.bool_),
        np.zeros(count, np.int32),
        np.zeros((count, _COLUMNS), np.bool_),
    )
    tables = 0
    for element in range(1, size):
        tag, around = elements[element, TAG], elements[element, PARENT]
        if tag == _TABLE:
            tables += 1
            cells.table[element] = tables
        elif tag in _GROUPS and elements[around, TAG] == _TABLE:
            cells.covered[cells.table[around]] = 0  # no cell reaches beyond its group of rows
        elif tag == _ROW:
            if elements[around, TAG] != _TABLE:
                around = elements[around, PARENT]
            if elements[around, TAG] == _TABLE:
                cells.table[element] = cells.table[around]
                _begin_row(cells, element)
        elif tag in (_DATA, _HEAD) and elements[around, TAG] == _ROW:
            column = min(cells.size[around], _COLUMNS - 1)
            wide, high = elements[element, COLUMNS_WIDE], elements[element, ROWS_HIGH]
            cells.column[element] = column
            cells.covered[cells.table[around], column : column + wide] = high
            cells.size[around] = column + wide
            cells.cells[around] += 1
            _skip_covered(cells, around)
            if tag == _HEAD:
                cells.headed[cells.table[around]] = True
    cells.headed[0] = False
    return cells


@compiled
def _begin_row(cells: Cells, row: int) -> None:
    covered = cells.covered[cells.table[row]]
    for column in range(_COLUMNS):
        if covered[column]:
            covered[column] -= 1
    _skip_covered(cells, row)


@compiled
def _skip_covered(cells: Cells, row: int) -> None:
    """Count the columns of a row that cells of rows above it reach into."""
    covered = cells.covered[cells.table[row]]
    while cells.size[row] < _COLUMNS and covered[cells.size[row]]:
        cells.size[row] += 1
        cells.cells[row] += 1


@called
def _fill_rows(elements: Integers, blocks: Integers, cells: Cells) -> None:
    """Count the cells with text of each row, and mark the columns they use."""
    for row in range(len(elements)):
        table = cells.table[row]
        if table == 0 or elements[row, TAG] != _ROW:
            continue
        before = filled = 0
        for place in range(elements[row, FIRST], elements[row, END]):
            cell = _cell_of(elements, blocks[place, ELEMENT])
            if (
                cell == 0
                or elements[cell, PARENT] != row
                or blocks[place, KIND] != A_TEXT
                or (cell == before and not cells.headed[table])
            ):
                filled = _LAYOUT
                break
            filled += cell != before
            before = cell
        cells.filled[row] = filled
        cells.rows[table] += filled > 1
        if filled > 0:
            for place in range(elements[row, FIRST], elements[row, END]):
                cells.used[table, cells.column[_cell_of(elements, blocks[place, ELEMENT])]] = True


@compiled
def _cell_of(elements: Integers, element: int) -> int:
    """Return the cell that an element is or lies in, or 0 if it lies deeper than texts do."""
    for _ in range(_INSIDE):
        tag = elements[element, TAG]
        if tag in (_DATA, _HEAD):
            return element
        element = elements[element, PARENT]
    return 0


@called
def _join_row(
    elements: Integers,
    blocks: Integers,
    cells: Cells,
    row: int,
    whole: bool,
    joins: Integers,
    borders: Borders,
) -> None:
    """Join the blocks of a row; `whole`: its empty cells count."""
    first, end = elements[row, FIRST], elements[row, END]
    used = cells.used[cells.table[row]]
    before, last = 0, -1  # cell and its column
    for place in range(first, end):
        cell = _cell_of(elements, blocks[place, ELEMENT])
        column = cells.column[cell]
        if place == first:
            borders.before[place] = used[:column].sum() if whole else 0
        elif cell == before:
            joins[place] = SPACE
        else:
            joins[place] = NO_GAP
            borders.before[place] = max(1, used[last + 1 : column + 1].sum()) if whole else 1
        before, last = cell, column
    if whole:
        borders.behind[end - 1] = used[last + 1 : cells.size[row]].sum()
