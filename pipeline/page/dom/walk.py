"""One walk over a parsed page: blocks of text and images in reading order.

The walk visits each node once and never recurses, since a page may nest deeper than any stack. It
only collects; everything else works on its columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benben.pipeline.compiled import Bytes, Integers, borrowed, compiled, int64
from benben.pipeline.page.dom.columns import (
    A_BREAK,
    AN_IMAGE,
    BLOCKS,
    DEPTH,
    ELEMENT,
    ELEMENTS,
    END,
    FACTS,
    FIRST,
    FLAGS,
    IMAGES,
    KIND,
    NOTED,
    PARENT,
    POSITION,
    START,
    STATUS,
    STOP,
    TAG,
    TOO_DEEP,
    WRITTEN,
    Columns,
    Sizes,
    add_preformatted,
    add_text,
    allocate,
    begin_block,
    borrow,
    break_line,
    flush,
)
from benben.pipeline.page.dom.elements import (
    ARTICLE_BREAK,
    BACKGROUND,
    BLOCK,
    BREAK,
    DROP,
    FACT,
    GONE,
    IMAGE,
    INHERITED,
    LINK,
    NOSCRIPT,
    PRE,
    TAGS,
    TEXT_FREE,
    UNKNOWN,
    Plan,
    Tables,
    attribute_flags,
    borrow_tables,
    ends_article,
    tag_id,
)
from benben.pipeline.page.dom.lexbor import (
    ELEMENT_NODE,
    TEXT_NODE,
    attribute_after,
    attribute_of,
    child_of,
    name_of,
    next_of,
    parent_of,
    text_of,
    type_of,
    value_of,
)
from benben.pipeline.page.dom.notes import Attributes, note_fact, note_image, read_note
from benben.pipeline.settings.extract import Limits

_OVERHEAD = 2  # bytes that noting a value takes besides the value
_DIV = tag_id("div")
_SILENT = NOSCRIPT | TEXT_FREE
# What the walk keeps of each level above the current node.
_NODE, _KIND, _POSITION, _TAG = range(4)
LEVEL_WIDTH = 4


class LimitError(Exception):
    """The page exceeds a limit; the message is the limit's name."""


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
    sizes = measure(root.mem_id, plan.tables.kinds)
    out = allocate(sizes)
    stack = np.empty((sizes.depth + 2, LEVEL_WIDTH), np.int64)
    collect(root.mem_id, plan.tables, out, stack, limits.depth)
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


@compiled
def measure(root: int, kinds: Bytes) -> Sizes:
    """Count what the walk may find below a node."""
    elements = texts = images = text_bytes = attribute_bytes = depth = deepest = 0
    node = child_of(root)
    while node:
        inside = 0
        if type_of(node) == TEXT_NODE:
            texts += 1
            text_bytes += text_of(node)[1]
        elif type_of(node) == ELEMENT_NODE:
            tag = name_of(node)
            kind = kinds[tag if 0 <= tag < TAGS else UNKNOWN]
            elements += 1
            images += kind == IMAGE
            if kind != DROP:
                attribute_bytes += _attribute_bytes(node)
                inside = child_of(node)
        if inside:
            node = inside
            depth += 1
            deepest = max(deepest, depth)
            continue
        while node != root and next_of(node) == 0:
            node = parent_of(node)
            depth -= 1
        node = 0 if node == root else next_of(node)
    return Sizes(elements, texts, images, text_bytes, attribute_bytes, deepest)


@compiled
def _attribute_bytes(element: int) -> int:
    total = 0
    attribute = attribute_of(element)
    while attribute:
        total += value_of(attribute)[1] + _OVERHEAD
        attribute = attribute_after(attribute)
    return total


@compiled
def collect(root: int, tables: Tables, out: Columns, stack: Integers, depth_limit: int) -> None:
    """Fill the columns from the tree below a node; `stack` has room for its levels."""
    tables, out, stack = borrow_tables(tables), borrow(out), borrowed(stack)
    out.elements[0] = out.blocks[0] = 0
    node = child_of(root)
    depth = element = position = links = int64(0)  # with literals all is compiled twice
    while node or depth:
        if node == 0:
            depth -= 1
            level = stack[depth]
            position = level[_POSITION]
            if level[_KIND] == LINK:
                links -= 1
            elif level[_KIND] == BLOCK:
                flush(out, element)
                out.elements[element, END] = out.at[BLOCKS]
                element = out.elements[element, PARENT]
            node = next_of(level[_NODE])
            continue
        kind = DROP
        if type_of(node) == TEXT_NODE:
            _take_text(out, tables, node, element, links > 0)
        elif type_of(node) == ELEMENT_NODE:
            position += 1
            tag = name_of(node)
            tag = tag if 0 <= tag < TAGS else UNKNOWN
            kind = int64(tables.kinds[tag])
            if kind == BLOCK:
                flush(out, element)
                entered = _enter(out, tables, node, tag, position, element, depth)
                element, kind = (entered, BLOCK) if entered else (element, DROP)
                if depth > depth_limit:
                    out.at[STATUS] = TOO_DEEP
                    break
            elif kind != DROP:
                kind = _take_element(out, tables, node, tag, kind, element, stack[:depth], position)
        if kind <= BLOCK:
            links += kind == LINK
            level = stack[depth]
            level[_NODE], level[_KIND], level[_POSITION], level[_TAG] = node, kind, position, tag
            depth, position = depth + 1, int64(0)
            node = child_of(node)
        else:
            node = next_of(node)
    flush(out, 0)
    out.elements[0, END] = out.at[BLOCKS]


@compiled
def _take_text(out: Columns, tables: Tables, node: int, element: int, linked: bool) -> None:
    """Append a text node, unless the text of its element does not count."""
    flags = out.elements[element, FLAGS]
    if flags & _SILENT == 0:
        address, length = text_of(node)
        if flags & PRE:
            add_preformatted(out, tables.classes, address, length, linked)
        else:
            add_text(out, tables.classes, element, address, length, linked)


@compiled
def _take_element(
    out: Columns,
    tables: Tables,
    node: int,
    tag: int,
    kind: int,
    element: int,
    levels: Integers,
    position: int,
) -> int:
    """Handle an element that is no block; return DROP when the walk need not go inside."""
    if kind == BREAK:
        break_line(out, element)
    elif kind == FACT:
        note_fact(out, tables, node, tag)
    elif kind == IMAGE:
        flush(out, element)
        note_image(out, tables, node, levels, position)
        _add(out, AN_IMAGE, element)
    elif tables.breaks and attribute_of(node) and ends_article(tables, out.memo, node):
        flush(out, element)
        _add(out, A_BREAK, element)
    else:
        return kind
    return DROP


@compiled
def _add(out: Columns, kind: int, element: int) -> None:
    """Append a block without text."""
    row = out.blocks[out.at[BLOCKS]]
    row[KIND], row[ELEMENT] = kind, element
    row[START] = row[STOP] = out.at[WRITTEN]
    begin_block(out)


@compiled
def _enter(
    out: Columns, tables: Tables, node: int, tag: int, position: int, around: int, depth: int
) -> int:
    """Open a block element; return 0 when its attributes drop it with everything inside."""
    flags = tables.flags[tag]
    if attribute_of(node):
        flags |= attribute_flags(tables, out.memo, node, tag == _DIV)
    if flags & ARTICLE_BREAK:
        _add(out, A_BREAK, around)
    if flags & (GONE | ARTICLE_BREAK):
        return 0
    out.at[ELEMENTS] += 1
    element = out.at[ELEMENTS]
    row = out.elements[element]
    row[PARENT], row[TAG], row[POSITION], row[DEPTH] = around, tag, position, depth
    row[FLAGS] = flags | out.elements[around, FLAGS] & INHERITED
    row[FIRST] = out.at[BLOCKS]
    if flags & BACKGROUND:
        note_image(out, tables, node, out.elements[:0], int64(0))
        _add(out, AN_IMAGE, element)
    return int64(element)
