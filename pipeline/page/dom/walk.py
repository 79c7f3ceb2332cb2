"""One walk over a parsed page: blocks of text and images in reading order.

The walk visits each node once and never recurses, since a page may nest deeper than any stack. It
only collects; everything else works on its columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benben.pipeline.compiled import Integers, called, compiled, int64
from benben.pipeline.hash_tables import look_up
from benben.pipeline.page import formulas
from benben.pipeline.page.dom.columns import (
    A_BREAK,
    AN_IMAGE,
    BLOCKS,
    COLUMNS_WIDE,
    DEPTH,
    ELEMENT,
    ELEMENTS,
    END,
    FACTS,
    FIRST,
    FLAGS,
    IMAGES,
    KEEP,
    KIND,
    LEVEL_KIND,
    LEVEL_NODE,
    LEVEL_POSITION,
    LEVEL_TAG,
    NOTED,
    ONE_LINE,
    PARENT,
    PENDING,
    PIECE,
    POSITION,
    REPLACED,
    ROW_START,
    ROWS_HIGH,
    START,
    STATUS,
    STOP,
    TAG,
    TOO_DEEP,
    WRITTEN,
    Columns,
    Sizes,
    allocate,
    begin_block,
    break_line,
    end_code_line,
    flush,
    write_text,
)
from benben.pipeline.page.dom.elements import (
    ARTICLE_BREAK,
    AS_BLOCK,
    BACKGROUND,
    BLOCK,
    BREAK,
    COLSPAN,
    COPY,
    DROP,
    EITHER,
    FACT,
    GONE,
    GUTTER,
    HAS_ADDRESS,
    HIDDEN,
    IMAGE,
    INHERITED,
    INLINE,
    INSTEAD,
    KEPT,
    LINK,
    LINKED_LINE,
    MARKED,
    OWN_LINE,
    PRE,
    QUIET,
    QUOTE,
    RAISED,
    ROWSPAN,
    TEXT_FREE,
    Plan,
    Tables,
    attribute_flags,
    inline_flags,
    tag_id,
    tag_of,
)
from benben.pipeline.page.dom.lexbor import (
    ELEMENT_NODE,
    TEXT_NODE,
    attribute_of,
    child_of,
    next_of,
    parent_of,
    text_of,
    type_of,
)
from benben.pipeline.page.dom.looks import (
    holds_block,
    holds_code,
    holds_page,
    is_blank,
    is_gutter,
    is_number,
    is_permalink,
    is_quoted,
    is_short,
    measure,
    quote,
    raise_text,
    replace,
)
from benben.pipeline.page.dom.notes import Attributes, note_fact, note_image, read_note, span_of
from benben.pipeline.page.dom.prescan import LimitError
from benben.pipeline.references import by_reference
from benben.pipeline.settings.extract import Limits

_DIV, _SUP, _BODY, _HTML, _DATA, _HEAD = (
    tag_id(name) for name in ("div", "sup", "body", "html", "td", "th")
)
_ROW, _TABLE = tag_id("tr"), tag_id("table")
_ROWS = (_ROW, _TABLE, *(tag_id(name) for name in ("thead", "tbody", "tfoot")))
_HEADINGS = tuple(tag_id(f"h{level}") for level in range(1, 7))
# What body and html say of themselves, they say of the page.
_OF_PAGE = ~(GONE | QUIET | TEXT_FREE | ARTICLE_BREAK | HIDDEN | COPY)


@dataclass(frozen=True)
class Walk:
    """What the walk found on a page; the tables are described in columns.py."""

    elements: Integers
    blocks: Integers
    images: Integers
    facts: Integers
    text: bytes
    notes: bytes

    @cached_property
    def parts(self) -> list[str]:
        """The parts of `notes`."""
        return self.notes.decode("utf-8", "replace").split("\0")

    def text_of(self, block: int) -> str:
        """Return the text of a block; empty for images and article breaks."""
        start, stop = self.blocks[block, START : STOP + 1]
        return self.text[start:stop].decode("utf-8", "replace")

    def facts_by(self, names: tuple[str, ...]) -> Iterator[tuple[int, Attributes]]:
        """Yield tag and attributes of the elements that say something about the page."""
        for tag, start, stop in self.facts.tolist():
            yield tag, read_note(self.parts[start:stop], names)[0]


def walk(root: Any, plan: Plan, limits: Limits) -> Walk:
    """Walk a parsed page below its root node. Raises LimitError."""
    sizes = measure(root.mem_id, plan.tables)
    out = allocate(sizes, _replacements(root, plan, sizes))
    collect(root.mem_id, plan.tables, out, limits.depth)
    at = out.at
    if at[STATUS] == TOO_DEEP:
        raise LimitError("depth")
    if at[BLOCKS] > limits.nodes:
        raise LimitError("nodes")
    return Walk(
        elements=out.elements[: at[ELEMENTS] + 1],
        blocks=out.blocks[: at[BLOCKS]],
        images=out.images[: at[IMAGES]],
        facts=out.facts[: at[FACTS]],
        text=out.text[: at[WRITTEN]].tobytes(),
        notes=out.notes[: at[NOTED]].tobytes(),
    )


def _replacements(root: Any, plan: Plan, sizes: Sizes) -> dict[int, str | None]:
    """Return what stands for elements of a page by their addresses; see `allocate`."""
    found: dict[int, str | None] = {}
    if plan.formulas and sizes.formulas:
        found.update(formulas.find(root))
    for selectors, text in ((plan.selectors.drop, ""), (plan.selectors.keep, None)):
        for selector in selectors:
            found.update((node.mem_id, text) for node in root.css(selector))
    return found


@compiled
def collect(root: int, tables: Tables, out: Columns, depth_limit: int) -> None:
    """Fill the columns from the tree below a node."""
    tables, out = by_reference(tables), by_reference(out)
    node = child_of(root)
    depth = element = position = links = int64(0)  # with literals all is compiled twice
    while node or depth:
        if node == 0:
            depth -= 1
            level = out.levels[depth]
            position = level[LEVEL_POSITION]
            kind = level[LEVEL_KIND]
            links -= kind in (LINK, LINKED_LINE)
            if kind == BLOCK:
                flush(out, element)
                out.elements[element, END] = out.at[BLOCKS]
                element = out.elements[element, PARENT]
            elif kind > LINK:
                _end(out, tables, level, kind, element, links > 0)
            node = next_of(level[LEVEL_NODE])
            continue
        kind = DROP
        if type_of(node) == TEXT_NODE:
            _take_text(out, tables, node, element, depth, links > 0)
        elif type_of(node) == ELEMENT_NODE:
            position += 1
            tag = tag_of(tables, node)
            kind = _kind_of(out, tables, node, tag, element)
            if kind == BLOCK:
                flush(out, element)
                entered = _enter(out, tables, node, tag, position, element, depth)
                element, kind = (entered, BLOCK) if entered else (element, DROP)
                if depth > depth_limit:
                    out.at[STATUS] = TOO_DEEP
                    break
            elif kind != DROP:
                kind = _take_element(
                    out, tables, node, tag, kind, element, depth, position, links > 0
                )
                if kind == BLOCK:
                    element = out.at[ELEMENTS]
        if kind <= BLOCK:
            links += kind in (LINK, LINKED_LINE)
            level = out.levels[depth]
            level[LEVEL_NODE], level[LEVEL_KIND] = node, kind
            level[LEVEL_POSITION], level[LEVEL_TAG] = position, tag
            depth, position = depth + 1, int64(0)
            node = child_of(node)
        else:
            node = next_of(node)
    flush(out, 0)
    out.elements[0, END] = out.at[BLOCKS]


@compiled
def _take_text(
    out: Columns, tables: Tables, node: int, element: int, depth: int, linked: bool
) -> None:
    """Append a text; in code, blanks between the cells of a table are not shown."""
    address, length = text_of(node)
    if out.elements[element, FLAGS] & PRE and depth and is_blank(node):
        level = out.levels[depth - 1]
        if level[LEVEL_TAG] in _ROWS:
            return
        alone = child_of(parent_of(node)) == node and next_of(node) == 0
        if out.at[PENDING] == ONE_LINE and alone and level[LEVEL_KIND] != BLOCK:
            break_line(out, element)  # an empty line
            return
    write_text(out, tables, address, length, element, linked)


@compiled
def _kind_of(out: Columns, tables: Tables, node: int, tag: int, element: int) -> int:
    """Return what to do at an element inside the block `element`."""
    if out.at[REPLACED]:
        number = look_up(out.replaced, node)
        if number:
            return int64(BLOCK if number == KEEP else INSTEAD)
    kind = int64(tables.kinds[tag])
    if kind == EITHER:
        kind = int64(BLOCK) if holds_block(out, tables, node) else int64(INLINE)
    if kind == BLOCK and out.elements[element, FLAGS] & PRE:
        kind = int64(tables.in_code[tag])
    return kind


@called
def _take_element(
    out: Columns,
    tables: Tables,
    node: int,
    tag: int,
    kind: int,
    element: int,
    depth: int,
    position: int,
    linked: bool,
) -> int:
    """Handle an element that is no block; return DROP when the walk need not go inside."""
    if kind == BREAK:
        break_line(out, element)
    elif kind == INSTEAD:
        replace(out, tables, node, element, linked)
    elif kind == FACT:
        note_fact(out, tables, node, tag)
    elif kind == IMAGE:
        flush(out, element)
        note_image(out, tables, node, depth, position, linked)
        _add(out, AN_IMAGE, element)
    else:
        flags = inline_flags(tables, out.memo, node) if attribute_of(node) else 0
        if flags & ARTICLE_BREAK:
            flush(out, element)
            _add(out, A_BREAK, element)
        elif (
            flags & MARKED
            or (flags & GUTTER and is_number(out, node))
            or (
                tag in (_DATA, _HEAD)
                and out.elements[element, FLAGS] & PRE
                and is_gutter(out, node)
            )
        ):
            return DROP
        elif flags & HIDDEN:
            return _hide(out, tables, node, tag, element, depth, position)
        else:
            kind = _displayed(out, tables, node, kind, flags, element)
            return kind if kind <= LINK else _begin(out, tables, node, tag, kind, element, linked)
    return DROP


@called
def _hide(
    out: Columns, tables: Tables, node: int, tag: int, element: int, depth: int, position: int
) -> int:
    """Make hidden text a block of its own; a few words in a sentence just go."""
    if tables.drop_hidden or is_short(out, tables, node):
        return DROP
    flush(out, element)
    return int64(BLOCK if _enter(out, tables, node, tag, position, element, depth) else DROP)


@called
def _displayed(out: Columns, tables: Tables, node: int, kind: int, flags: int, element: int) -> int:
    """Return what an inline element with flags is, as it is displayed."""
    if kind == LINK:
        if flags & HAS_ADDRESS == 0:
            kind = int64(INLINE)
        elif out.elements[element, TAG] in _HEADINGS and is_permalink(out, tables, node):
            kind = int64(DROP)
    if flags & AS_BLOCK and kind <= LINK:
        kind = int64(LINKED_LINE if kind == LINK else OWN_LINE)
    return kind


@called
def _begin(
    out: Columns, tables: Tables, node: int, tag: int, kind: int, element: int, linked: bool
) -> int:
    """Write what stands before the text of an element; return as what the walk goes into it."""
    if kind in (OWN_LINE, LINKED_LINE):
        _end_line(out, element)
        if tag == _ROW:
            out.at[ROW_START] = out.at[WRITTEN]
    elif kind == QUOTE:
        if is_quoted(out, tables, node):
            return INLINE
        quote(out, tables, node, element, linked, int64(0))
    elif kind == RAISED:
        return raise_text(out, tables, node, tag == _SUP, element, linked)
    return kind


@called
def _end(
    out: Columns, tables: Tables, level: Integers, kind: int, element: int, linked: bool
) -> None:
    """Write what stands behind the text of an element."""
    at = out.at
    if kind in (OWN_LINE, LINKED_LINE):
        if level[LEVEL_TAG] == _ROW and at[PIECE] < at[WRITTEN] == at[ROW_START]:
            break_line(out, element)  # a row without text is an empty line
        _end_line(out, element)
    elif kind == QUOTE:
        quote(out, tables, level[LEVEL_NODE], element, linked, int64(1))


@compiled
def _end_line(out: Columns, element: int) -> None:
    """End a line of preformatted text, or the block of other text."""
    if out.elements[element, FLAGS] & PRE:
        end_code_line(out)
    else:
        flush(out, element)


@compiled
def _add(out: Columns, kind: int, element: int) -> None:
    """Append a block without text."""
    row = out.blocks[out.at[BLOCKS]]
    row[KIND], row[ELEMENT] = kind, element
    row[START] = row[STOP] = out.at[WRITTEN]
    begin_block(out)


@called
def _enter(
    out: Columns, tables: Tables, node: int, tag: int, position: int, around: int, depth: int
) -> int:
    """Open a block element; return 0 when its attributes drop it with everything inside."""
    flags = tables.flags[tag]
    if attribute_of(node):
        flags |= attribute_flags(tables, out.memo, node, tag == _DIV)
    if tag in (_BODY, _HTML):
        flags &= _OF_PAGE
    elif flags & (GONE | QUIET) and holds_page(out, tables, node):
        flags &= ~(GONE | QUIET)
    if out.at[REPLACED] and look_up(out.replaced, node) == KEEP:
        flags = flags & ~(GONE | QUIET | ARTICLE_BREAK | GUTTER) | KEPT
    if tag in (_DIV, _TABLE) and holds_code(out, tables, node, tag):
        flags |= PRE
    if flags & ARTICLE_BREAK:
        _add(out, A_BREAK, around)
    if (
        flags & (GONE | ARTICLE_BREAK)
        or (flags & HIDDEN and tables.drop_hidden)
        or (flags & GUTTER and is_number(out, node))
    ):
        return 0
    out.at[ELEMENTS] += 1
    element = out.at[ELEMENTS]
    row = out.elements[element]
    row[PARENT], row[TAG], row[POSITION], row[DEPTH] = around, tag, position, depth
    row[FLAGS] = flags & ~AS_BLOCK | out.elements[around, FLAGS] & INHERITED
    row[FIRST] = out.at[BLOCKS]
    row[COLUMNS_WIDE] = row[ROWS_HIGH] = 1
    if tag in (_DATA, _HEAD) and attribute_of(node):
        row[COLUMNS_WIDE] = span_of(tables, node, COLSPAN)
        row[ROWS_HIGH] = span_of(tables, node, ROWSPAN)
    if flags & BACKGROUND and tables.background:
        note_image(out, tables, node, int64(0), int64(0), False)
        _add(out, AN_IMAGE, element)
    return int64(element)
