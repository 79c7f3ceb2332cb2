"""One walk over a parsed page: blocks of text and images in reading order.

The walk is the cost of extraction after the parse: it visits each node once, never recurses (a
page may nest deeper than any stack) and only collects; everything else works on its columns.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from pipeline.page.dom import (
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
    TEXT,
    TEXT_FREE,
    Plan,
)
from pipeline.settings.extract import Limits

LINE_BREAK = "\0"  # the HTML parser lets no NUL through, so it can stand for <br>
_CLOCK_MASK = 511  # the clock is looked at every 512 elements
_SPECIAL = NOSCRIPT | TEXT_FREE | PRE

Column: TypeAlias = "array[int]"  # of 64 bits; numpy reads it in place
Level = tuple[Any, int, int, int]  # siblings still to come, kind entered, block around, position


# Block elements are rows of WIDTH numbers in document order, the root first: one call appends a
# row, and numpy reads the table in place. FIRST and END are the element's range of blocks, POSITION
# its place among its parent's elements, from 1.
PARENT, TAG, POSITION, FLAGS, DEPTH, FIRST, END = range(7)
WIDTH = 7


class LimitError(Exception):
    """The page costs more than a limit allows; the message is the limit's name."""


class Image(NamedTuple):
    """An <img> and its path from the block element around it."""

    node: Any
    path: str


@dataclass(slots=True)
class Walk:
    """Columns of block elements and of blocks (texts, images, article breaks)."""

    plan: Plan
    limits: Limits
    deadline: float  # on time.monotonic()'s clock
    elements: Column = field(default_factory=lambda: array("q", (0,) * WIDTH))
    # Blocks, in reading order.
    text: list[str] = field(default_factory=list)  # empty: an image or an article break
    element: Column = field(default_factory=lambda: array("q"))
    links: Column = field(default_factory=lambda: array("q"))  # characters of the text inside links
    images: dict[int, Image] = field(default_factory=dict)  # by block
    facts: list[Any] = field(default_factory=list)  # meta, link, base, title and script elements
    # Texts since the last block, and those of them inside links.
    parts: list[str] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)

    def column(self, name: int) -> Column:
        """One column of the elements, such as PARENT."""
        return self.elements[name::WIDTH]

    def check(self) -> None:
        """Raise LimitError when there are too many blocks or the time is over."""
        if len(self.text) > self.limits.nodes:
            raise LimitError("nodes")
        if time.monotonic() > self.deadline:
            raise LimitError("seconds")

    def enter(self, node: Any, tag: int, position: int, around: int, depth: int) -> int:
        """Open a block element; 0 when its attributes say that its content does not count."""
        plan, elements = self.plan, self.elements
        attributes = node.attributes
        flags = plan.attribute_flags(tag, attributes) if attributes else plan.flags.get(tag, 0)
        if flags >= GONE:  # the highest flags are those that change the walk
            if flags & ARTICLE_BREAK:
                self.add("", around)
            if flags & (GONE | ARTICLE_BREAK):
                return 0
        element = len(elements) // WIDTH
        if not element & _CLOCK_MASK:
            self.check()
        if depth > self.limits.depth:
            raise LimitError("depth")
        inherited = elements[around * WIDTH + FLAGS] & INHERITED
        elements.extend((around, tag, position, flags | inherited, depth, len(self.text), 0))
        if flags & BACKGROUND:
            self.images[len(self.text)] = Image(node, "")
            self.add("", element)
        return element

    def add(self, text: str, element: int, links: int = 0) -> None:
        """Append a text block or, with no text, an article break."""
        self.text.append(text)
        self.element.append(element)
        self.links.append(links)

    def add_break(self, element: int) -> bool:
        """End an article in place of a read-more link; the text so far is a block of its own."""
        self.flush(element)
        self.add("", element)
        return True

    def add_image(self, node: Any, element: int, stack: list[Level], position: int) -> None:
        """Append an image block; the top of the stack holds the inline elements around it."""
        steps = [f"img.{position}"]
        around = node.parent
        for _, kind, _, place in reversed(stack):
            if kind == BLOCK:
                break
            steps.append(f"{around.tag}.{place}")
            around = around.parent
        self.images[len(self.text)] = Image(node, "/".join(reversed(steps)))
        self.add("", element)

    def flush(self, element: int) -> None:
        """Append the text since the last block as a block for each of its paragraphs."""
        parts, linked = self.parts, self.linked
        raw = "".join(parts)
        flags = self.elements[element * WIDTH + FLAGS]
        if not flags & _SPECIAL and LINE_BREAK not in raw:
            if text := " ".join(raw.split()):
                self.text.append(text)
                self.element.append(element)
                if len(linked) == len(parts):
                    self.links.append(len(text))
                else:
                    self.links.append(_characters(linked) if linked else 0)
        elif not flags & (NOSCRIPT | TEXT_FREE):
            self._add_paragraphs(raw, element, _characters(linked), bool(flags & PRE))
        parts.clear()
        linked.clear()

    def _add_paragraphs(self, raw: str, element: int, links: int, pre: bool) -> None:
        if pre:
            pieces = [raw.replace(LINE_BREAK, "\n").strip("\n").rstrip()]
        else:
            lines = [" ".join(line.split()) for line in raw.split(LINE_BREAK)]
            pieces = [piece.strip("\n") for piece in "\n".join(lines).split("\n\n")]
        length = max(1, sum(map(len, pieces)))
        for piece in pieces:
            if piece:
                self.add(piece, element, links * len(piece) // length)


def _characters(texts: list[str]) -> int:
    return sum(len(text.strip()) for text in texts)


def walk(root: Any, plan: Plan, limits: Limits, breaks: frozenset[int] = frozenset()) -> Walk:
    """Collect a page's blocks; `breaks` are memory ids of read-more links. Raises LimitError."""
    page = Walk(plan, limits, time.monotonic() + limits.seconds)
    kinds, unknown = plan.kinds.get, plan.unknown
    parts, linked, flush, enter = page.parts, page.linked, page.flush, page.enter
    elements, texts = page.elements, page.text
    stack: list[Level] = []
    element = position = open_links = 0
    # Blank texts, most of a page's, are skipped but in <pre>; one that parts two words is put back.
    blanks = True
    siblings = root.iter(True, True)
    while True:
        for node in siblings:
            tag = node.tag_id
            if tag == TEXT:
                text = node.text_content
                parts.append(text)
                if open_links:
                    linked.append(text)
                continue
            position += 1
            kind = kinds(tag, unknown)
            if kind <= LINK:
                if breaks and node.mem_id in breaks and page.add_break(element):
                    continue
                if parts and not parts[-1][-1].isspace() and after_blank(node):
                    parts.append(" ")
                open_links += kind  # LINK is 1, INLINE 0
                stack.append((siblings, kind, element, position))
                siblings, position = node.iter(True, blanks), 0
                break
            if kind == BREAK:
                parts.append(LINE_BREAK)
            elif kind == FACT:
                page.facts.append(node)
            elif kind != DROP:
                if parts:
                    flush(element)
                if kind == IMAGE:
                    page.add_image(node, element, stack, position)
                elif entered := enter(node, tag, position, element, len(stack)):
                    stack.append((siblings, kind, element, position))
                    blanks = not elements[entered * WIDTH + FLAGS] & PRE
                    siblings, element, position = node.iter(True, blanks), entered, 0
                    break
        else:
            if not stack:
                break
            if parts and stack[-1][1] == BLOCK:
                flush(element)
            siblings, kind, around, position = stack.pop()
            if kind == LINK:
                open_links -= 1
            elif kind == BLOCK:
                elements[element * WIDTH + END], element = len(texts), around
                blanks = not elements[element * WIDTH + FLAGS] & PRE
    page.check()
    elements[END] = len(texts)
    return page


def after_blank(node: Any) -> bool:
    """Tell whether blank text, which iteration skips, lies right before an inline element."""
    before = node.prev
    while before is not None and not before.is_text_node:
        before = before.last_child if before.is_element_node else before.prev
    return before is not None and before.is_empty_text_node
