"""Headings, list items, table rows and code blocks of gold Markdown, and which a text still has."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from benben.analysis.tuning.gold import tokens

Element = Literal["heading", "list_item", "table_row", "code"]
ELEMENTS: tuple[Element, ...] = ("heading", "list_item", "table_row", "code")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+(.*)$")
_ROW = re.compile(r"\s*\|(.*)\|\s*$")
_RULE = re.compile(r"[\s|:-]+$")  # between a table's head and its body
# the text of a link may hold brackets
_LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!|<>~-])")


@dataclass(frozen=True, slots=True)
class Part:
    """One element of a page's structure."""

    kind: Element
    text: str  # plain; of code as it is written

    @property
    def key(self) -> str:
        """Its tokens between spaces: a part of a text whose own tokens contain them in a row."""
        return f" {' '.join(tokens(self.text))} "


def parts(markdown: str) -> Iterator[Part]:
    """Yield the elements of Markdown that have tokens, in order."""
    fence, code = "", [""]
    for line in _joined(markdown.split("\n")):
        mark = _FENCE.match(line)
        if mark and (not fence or line.strip() == fence):
            if fence:
                yield from _if_any("code", "\n".join(code))
            fence, code = ("", []) if fence else (mark[1], [])
        elif fence:
            code.append(line)
        elif found := _HEADING.match(line):
            yield from _if_any("heading", plain(found[1]))
        elif (found := _ROW.match(line)) and not _RULE.match(line):
            yield from _if_any("table_row", plain(found[1].replace("|", " ")))
        elif found := _ITEM.match(line):
            yield from _if_any("list_item", plain(found[1]))


def _joined(lines: list[str]) -> Iterator[str]:
    """Yield lines, those of an item's paragraph as one: they are indented to what it says."""
    item, fenced = "", False
    for line in lines:
        mark = _FENCE.match(line)
        inner = line[:2].isspace() and line.strip() and not (mark or _ITEM.match(line))
        if item and inner and not _ROW.match(line) and not _HEADING.match(line):
            item += f" {line.strip()}"
            continue
        if item:
            yield item
        fenced ^= mark is not None
        item = line if not fenced and _ITEM.match(line) else ""
        if not item:
            yield line
    if item:
        yield item


def _if_any(kind: Element, text: str) -> Iterator[Part]:
    if tokens(text):
        yield Part(kind, text)


def plain(text: str) -> str:
    """Remove links, emphasis, code marks, escapes and soft hyphens from a line of Markdown."""
    text = _LINK.sub(r"\1", text).replace("**", "").replace("`", "").replace("<br>", " ")
    return html.unescape(_ESCAPE.sub(r"\1", text)).replace("\xad", "")


def kept(wanted: list[Part], text: str) -> list[bool]:
    """Tell which elements a text has: all their tokens, in a row."""
    found = f" {' '.join(tokens(text))} "
    return [part.key in found for part in wanted]
