"""Which blocks of text make one text node: a table's row, OBELICS's paragraph, or a whole run."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.page.dom import LINE, PARAGRAPH, SEPARATORS, Plan, tag_id
from pipeline.page.walk import END, FIRST, PARENT, TAG, Walk
from pipeline.settings.extract import ExtractSettings

CELL_SEPARATOR = " | "
_ROW, _CELLS = tag_id("tr"), frozenset((tag_id("td"), tag_id("th")))


@dataclass(slots=True)
class Text:
    """Text of the blocks from `first` to before `end`."""

    first: int
    end: int
    text: str


def join_texts(page: Walk, plan: Plan, settings: ExtractSettings) -> dict[int, Text]:
    """Texts made of several blocks, by their first block."""
    joined = _rows(page) if settings.table_rows else {}
    if settings.texts == "block":
        return joined
    return _runs(page, plan, joined, PARAGRAPH if settings.texts == "paragraph" else PARAGRAPH + 1)


def _rows(page: Walk) -> dict[int, Text]:
    """Rows all of whose cells hold one text and nothing else; others are layout."""
    rows: dict[int, Text] = {}
    tags = page.column(TAG)
    if _ROW not in tags:
        return rows
    parents, firsts, ends = page.column(PARENT), page.column(FIRST), page.column(END)
    for row, tag in enumerate(tags):
        first, end = firsts[row], ends[row]
        if tag != _ROW or end - first < 2:
            continue
        cells = page.element[first:end]
        plain = all(parents[cell] == row and tags[cell] in _CELLS for cell in cells)
        texts = page.text[first:end]
        if plain and all(texts) and len(set(cells)) == len(cells):
            rows[first] = Text(first, end, CELL_SEPARATOR.join(texts))
    return rows


def _runs(page: Walk, plan: Plan, joined: dict[int, Text], limit: int) -> dict[int, Text]:
    """Join neighbouring texts whose break is weaker than `limit`."""
    runs: dict[int, Text] = {}
    last: Text | None = None
    place = 0
    while place < len(page.text):
        text = joined.get(place) or Text(place, place + 1, page.text[place])
        if not text.text:
            last = None
        elif last is not None and (gap := _gap(page, plan, last.end - 1, place)) < limit:
            last.text, last.end = last.text + SEPARATORS[gap] + text.text, text.end
        else:
            last = runs[place] = text
        place = text.end
    return {first: run for first, run in runs.items() if run.end - run.first > 1}


def _gap(page: Walk, plan: Plan, before: int, after: int) -> int:
    """Break between two neighbouring blocks: the strongest of the elements between them.

    Blocks of one element were parted by a blank line (two <br>) or by an element without text.
    """
    left, right = page.element[before], page.element[after]
    if left == right:
        return PARAGRAPH
    gap, tags, parents = 0, page.column(TAG), page.column(PARENT)
    while left != right:
        if left > right:  # elements are numbered in document order: the later is no ancestor
            gap, left = max(gap, plan.gaps.get(tags[left], LINE)), parents[left]
        else:
            gap, right = max(gap, plan.gaps.get(tags[right], LINE)), parents[right]
    return gap
