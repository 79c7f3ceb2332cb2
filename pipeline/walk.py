"""One walk over a parsed page: blocks of text and images in reading order.

The walk is the cost of extraction after the parse: it visits each node once, never recurses (a
page may nest deeper than any stack) and only collects; everything else works on its columns.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from pipeline.dom import (
    ARTICLE_BREAK,
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
_CLOCK_ELEMENTS = 512  # elements between two looks at the clock


class LimitError(Exception):
    """The page costs more than a limit allows; the message is the limit's name."""


@dataclass(slots=True)
class Walk:
    """Columns of block elements and of blocks (texts, images, article breaks)."""

    plan: Plan
    limits: Limits
    deadline: float  # on time.monotonic()'s clock
    # Block elements, in document order; 0 is the root.
    parent: list[int] = field(default_factory=lambda: [0])
    tag: list[int] = field(default_factory=lambda: [0])
    position: list[int] = field(default_factory=lambda: [0])  # among the parent's elements, from 1
    flags: list[int] = field(default_factory=lambda: [0])
    # Blocks, in reading order.
    text: list[str | None] = field(default_factory=list)  # None: an image or a break
    image: list[Any] = field(default_factory=list)  # the <img> element, None otherwise
    inline_path: list[str] = field(default_factory=list)  # from the block element to the image
    element: list[int] = field(default_factory=list)
    links: list[int] = field(default_factory=list)  # characters of the text inside links
    facts: list[Any] = field(default_factory=list)  # meta, link, base, title and script elements
    # Texts since the last block, and those of them inside links.
    parts: list[str] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)

    def check(self, blocks: int) -> None:
        """Raise LimitError when there are too many blocks or the time is over."""
        if blocks > self.limits.nodes:
            raise LimitError("nodes")
        if time.monotonic() > self.deadline:
            raise LimitError("seconds")

    def enter(self, node: Any, tag: int, position: int, around: int) -> int:
        """Open a block element; 0 when its attributes say that its content does not count."""
        plan = self.plan
        attributes = node.attributes
        flags = plan.attribute_flags(tag, attributes) if attributes else 0
        if flags & GONE:
            return 0
        if flags & ARTICLE_BREAK:
            self.add(None, around)
            return 0
        element = len(self.parent)
        if not element % _CLOCK_ELEMENTS:
            self.check(len(self.text))
        self.parent.append(around)
        self.tag.append(tag)
        self.position.append(position)
        self.flags.append(self.flags[around] & INHERITED | flags | plan.flags.get(tag, 0))
        return element

    def add(self, text: str | None, element: int, links: int = 0) -> None:
        """Append a text block or, with no text, an article break."""
        self.text.append(text)
        self.image.append(None)
        self.inline_path.append("")
        self.element.append(element)
        self.links.append(links)

    def add_break(self, element: int) -> bool:
        """End an article in place of a read-more link; the text so far is a block of its own."""
        self.flush(element)
        self.add(None, element)
        return True

    def add_image(
        self, node: Any, element: int, stack: list[tuple[Any, int, int, int]], position: int
    ) -> None:
        """Append an image block; the top of the stack holds the inline elements around it."""
        self.add(None, element)
        steps = [f"img.{position}"]
        for around, kind, place, _ in reversed(stack):
            if kind == BLOCK:
                break
            steps.append(f"{around.tag}.{place}")
        self.image[-1] = node
        self.inline_path[-1] = "/".join(reversed(steps))

    def flush(self, element: int) -> None:
        """Append the text since the last block as a block for each of its paragraphs."""
        raw = "".join(self.parts)
        links = sum(len(text.strip()) for text in self.linked) if self.linked else 0
        self.parts.clear()
        self.linked.clear()
        flags = self.flags[element]
        if flags & (NOSCRIPT | TEXT_FREE):
            return
        if flags & PRE:
            pieces = [raw.replace(LINE_BREAK, "\n").strip("\n").rstrip()]
        elif LINE_BREAK in raw:
            lines = [" ".join(line.split()) for line in raw.split(LINE_BREAK)]
            pieces = [piece.strip("\n") for piece in "\n".join(lines).split("\n\n")]
        else:
            pieces = [" ".join(raw.split())]
        length = max(1, sum(map(len, pieces)))
        for piece in pieces:
            if piece:
                self.add(piece, element, links * len(piece) // length)


def walk(root: Any, plan: Plan, limits: Limits, breaks: frozenset[int] = frozenset()) -> Walk:
    """Collect a page's blocks; `breaks` are memory ids of read-more links. Raises LimitError."""
    page = Walk(plan, limits, time.monotonic() + limits.seconds)
    kinds, unknown, depth = plan.kinds.get, plan.unknown, limits.depth
    parts, linked, flush, enter = page.parts, page.linked, page.flush, page.enter
    stack: list[tuple[Any, int, int, int]] = []  # node, kind, position, block element around
    element = position = open_links = 0
    node = root.first_child
    while True:
        if node is None:
            if not stack:
                break
            node, kind, position, around = stack.pop()
            if kind == LINK:
                open_links -= 1
            elif kind == BLOCK:
                if parts:
                    flush(element)
                element = around
            node = node.next
            continue
        tag = node.tag_id
        if tag == TEXT:
            text = node.text_content
            if parts or not text.isspace():
                parts.append(text)
                if open_links:
                    linked.append(text)
            node = node.next
            continue
        position += 1
        kind = kinds(tag, unknown)
        child = node.first_child if kind <= BLOCK else None
        if kind >= BLOCK:
            if kind == BREAK:
                parts.append(LINE_BREAK)
            elif kind == FACT:
                page.facts.append(node)
            elif kind != DROP:
                if parts:
                    flush(element)
                if kind == IMAGE:
                    page.add_image(node, element, stack, position)
                elif child is not None and (entered := enter(node, tag, position, element)):
                    stack.append((node, kind, position, element))
                    if len(stack) > depth:
                        raise LimitError("depth")
                    element, position, node = entered, 0, child
                    continue
            node = node.next
        elif child is None or (breaks and node.mem_id in breaks and page.add_break(element)):
            node = node.next
        else:
            open_links += kind  # LINK is 1, INLINE 0
            stack.append((node, kind, position, element))
            position, node = 0, child
    page.check(len(page.text))
    return page
