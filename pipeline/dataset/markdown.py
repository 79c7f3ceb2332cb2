"""Text nodes as Markdown, and back: headings, lists, tables, code and quotations.

Structure is read from each node's tag and DOM path. What stands inside a line is written as it is,
without marks for emphasis and links, which extraction does not store; formulas are TeX already.
Only the start of a line that would be read as structure is escaped, by a backslash. `to_plain` is
the inverse: it gives the texts of the nodes, joined by blank lines, character by character.

Marks are those of CommonMark 0.31.2 and, for tables, of GitHub Flavored Markdown 0.29.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benben.pipeline.document import Node

QUOTE, CELL_END, BREAK = "> ", " | ", "<br>"
CODE = frozenset(("pre", "listing", "xmp", "plaintext"))
MAX_CONTAINERS = 10
_CONTAINER = re.compile(r"(?:^|/)(li|blockquote)\.(\d+)(?=/|$)")
_ROW = re.compile(r"(.*?table\.\d+)((?:/t(?:body|head|foot)\.\d+)?/tr\.\d+)/t[dh]\.\d+(?:/[^/]+)?")
_LEVEL = re.compile(r"h([1-6])")
_IN_HEADING = re.compile(r"(?:^|/)h([1-6])\.\d+/")
# What would be read as structure at the start of a line: a heading, an item, a quotation, a row of
# a table, a fence, a rule; white space would be read as the indentation of an item.
_MARK = r"(?:#{1,6}(?!\S)|[-*+](?!\S)|[>|]|`{3}|~{3}|[-=*_][-=*_\s]*$|\s)"
_BARE = re.compile(rf"\\*{_MARK}")
_ESCAPED = re.compile(rf"\\+{_MARK}")
_NUMBER = re.compile(r"(\d{1,9})(\\*[.)])(?!\S)")
_BREAKS = re.compile(r"(\\*)<br>")
_TICKS = re.compile(r"^\s*(`{3,})", re.MULTILINE)
_DELIMITERS = re.compile(r"\|(?: --- \|)+")
_ITEM = re.compile(r"(?:-|\d{1,9}\.) ")
_HEADING = re.compile(r"#{1,6} ")
_FENCE = re.compile(r"`{3,}$")


# Where a node stands


@dataclass(frozen=True, slots=True)
class Container:
    """A quotation or a list item that a node stands in."""

    key: str  # its DOM path
    mark: str  # "> ", "- " or "3. "
    group: str = ""  # an item's list, by DOM path


def containers(node: Node) -> list[Container]:
    """The quotations and list items that a node stands in, the outermost first.

    A quotation in an item, or around code, indents what it holds and quotes nothing. Beyond
    MAX_CONTAINERS nothing is indented further, so that no page makes lines of white space alone.
    """
    found: list[Container] = []
    for match in _CONTAINER.finditer(node.path):
        key, parent = node.path[: match.end()], node.path[: match.start()]
        if match[1] == "li":
            ordered = parent.rpartition("/")[2].startswith("ol.")
            found.append(Container(key, f"{match[2]}. " if ordered else "- ", parent))
        elif not found and node.tag not in CODE:
            found.append(Container(key, QUOTE))
        if len(found) == MAX_CONTAINERS:
            break
    return found


def level(node: Node) -> int | None:
    """Level of a heading, or of the heading that a block stands in, 1 to 6; None without one."""
    found = _LEVEL.fullmatch(node.tag) or _IN_HEADING.search(node.path)
    return int(found[1]) if found else None


def row_of(node: Node) -> tuple[str, str] | None:
    """DOM paths of the table and of the row that a node is; None for other nodes.

    Extraction gives a row as one text, with the path of its first cell or of the block in it.
    """
    found = _ROW.fullmatch(node.path)
    return (found[1], found[2]) if found else None


def node_facts(nodes: Iterable[Node]) -> Iterator[dict[str, Any]]:
    """What is known of each text node: index, tag, level of a heading, list depth, section.

    `section` is the index of the heading that a node stands under. What does not apply is left out.
    """
    section: int | None = None
    for node in nodes:
        if node.kind == "break":
            section = None
        if node.kind != "text":
            continue
        depth = f"/{node.path}".count("/li.")
        known = {"index": node.index, "tag": node.tag, "level": level(node)}
        known |= {"list_depth": depth or None, "section": section}
        yield {name: value for name, value in known.items() if value is not None}
        section = node.index if level(node) else section


# Lines that would be read as structure


def escape(line: str) -> str:
    """Mark the start of a line of text that would be read as structure."""
    if _BARE.match(line):
        return f"\\{line}"
    return _NUMBER.sub(r"\1\\\2", line, count=1) if _NUMBER.match(line) else line


def unescape(line: str) -> str:
    """The inverse of `escape`."""
    if _ESCAPED.match(line):
        return line[1:]
    number = _NUMBER.match(line)
    if number and number[2].startswith("\\"):
        return number[1] + line[len(number[1]) + 1 :]
    return line


def _in_one_line(text: str) -> str:
    return _BREAKS.sub(r"\\\1<br>", text).replace("\n", BREAK)


def _in_lines(text: str) -> str:
    return _BREAKS.sub(lambda found: found[1][1:] + BREAK if found[1] else "\n", text)


# Writing


@dataclass
class MarkdownWriter:
    """Writes the texts of one document in order; images and breaks stand between them."""

    _begun: set[str] = field(default_factory=set)  # keys of items that have begun, or have no mark

    def write(self, nodes: Sequence[Node]) -> str:
        """The Markdown of consecutive text nodes."""
        plain = "\n\n".join(node.text or "" for node in nodes)
        written = "\n".join(self._lines(nodes))
        if to_plain(written) == plain:
            return written
        return "\n".join(map(escape, plain.split("\n")))  # texts that no structure can hold

    def _lines(self, nodes: Sequence[Node]) -> Iterator[str]:
        before: list[Container] = []
        table: str | None = None
        for number, (node, table_here) in enumerate(zip(nodes, _tables(nodes), strict=True)):
            if level(node):  # an item that begins with a heading is a section
                self._begun.update(one.key for one in containers(node) if one.group)
            around = self._shown(node, before)
            new = [one for one in around if one.group and one.key not in self._begun]
            groups = {one.group for one in before if one.group}
            tight = any(one.group in groups for one in new) or (
                new and groups and around[0] in before
            )
            row = table_here is not None and table_here == table
            if number and not tight and not row:
                shared = [one for one in around if one in before]
                yield _prefix(shared, ()).rstrip()
            block = _block(node, table_here, first=not row)
            for place, line in enumerate(block):
                prefix = _prefix(around, new if place == 0 else ())
                yield prefix + line if line else prefix.rstrip()
            self._begun.update(one.key for one in containers(node) if one.group)
            before, table = around, table_here

    def _shown(self, node: Node, before: list[Container]) -> list[Container]:
        """The containers of a node that are written, given those of the node before.

        Left out are items that were begun and left, and items that begin with another item.
        """
        around = containers(node)
        new = [one for one in around if one.group and one.key not in self._begun]
        return [
            one
            for one in around
            if not one.group or one in before or (one in new and one is new[-1])
        ]


def _prefix(around: Sequence[Container], new: Sequence[Container]) -> str:
    """What precedes a line: marks of quotations and new items, spaces for other items."""
    return "".join(
        one.mark if not one.group or one in new else " " * len(one.mark) for one in around
    )


def _tables(nodes: Sequence[Node]) -> list[str | None]:
    """The table that each node is written as a row of, from the first row with several cells on.

    Rows are one text each: where a row has several, the table is there for the layout.
    """
    rows = [row_of(node) for node in nodes]
    found = [row[0] if row else None for row in rows]
    begin = 0
    for end in range(1, len(nodes) + 1):
        if end < len(nodes) and found[end] == found[begin]:
            continue
        places = range(begin, end)
        first = next((one for one in places if CELL_END in (nodes[one].text or "")), end)
        if len(set(rows[begin:end])) < len(places):
            first = end
        found[begin:first] = [None] * (first - begin)
        begin = end
    return found


def _block(node: Node, table: str | None, first: bool) -> Iterator[str]:
    """The lines of a node without what its containers put before them."""
    text = node.text or ""
    line = _in_one_line(text)
    if table is not None and _in_lines(line) == text:
        yield f"| {line} |"
        if first:
            yield "|" + " --- |" * (1 + text.count(CELL_END))
    elif node.tag in CODE:
        fence = "`" * (1 + max([2, *(len(ticks) for ticks in _TICKS.findall(text))]))
        yield from (fence, *text.split("\n"), fence)
    elif level(node) and _in_lines(line) == text:
        yield f"{'#' * (level(node) or 1)} {line}"
    else:
        yield from map(escape, text.split("\n"))


# Reading


def to_plain(markdown: str) -> str:
    """The plain text of what a MarkdownWriter wrote."""
    reader = _Reader()
    for line in markdown.split("\n"):
        reader.read(line)
    return "\n".join(reader.lines)


class _Reader:
    """Reads Markdown line by line into `lines` of plain text."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._open: list[int] = []  # widths of the items around the last line; 0: a quotation
        self._fence = ""
        self._row = 0  # rows of the table so far

    def read(self, line: str) -> None:
        """Read one line."""
        line, kept = self._continue(line)
        if self._fence:
            if line == self._fence:
                self._fence = ""
            else:
                self.lines.append(line)
            return
        if line == "":
            self._row = 0
            self.lines.append("")
            return
        del self._open[kept:]
        line, new = self._begin(line)
        self._leaf(line, new)

    def _continue(self, line: str) -> tuple[str, int]:
        """What is left of a line within the open containers, and how many of them it continues."""
        for place, width in enumerate(self._open):
            if width == 0 and line.startswith(">"):
                line = line[2:] if line.startswith(QUOTE) else line[1:]
            elif width and line[:width] == " " * width:
                line = line[width:]
            elif line != "":
                return line, place
        return line, len(self._open)

    def _begin(self, line: str) -> tuple[str, bool]:
        """What is left of a line after the marks of new containers; tells if an item begins."""
        new = False
        while True:
            if line.startswith(QUOTE):
                line = line[2:]
                self._open.append(0)
            elif found := _ITEM.match(line):
                line, new = line[found.end() :], True
                self._open.append(found.end())
            else:
                return line, new

    def _leaf(self, line: str, new: bool) -> None:
        if _FENCE.match(line):
            self._fence, line = line, ""
            self._block()
            return
        row = line.startswith("| ")
        self._row = self._row + 1 if row and not new else int(row)
        if self._row == 2 and _DELIMITERS.fullmatch(line):
            return
        heading = _HEADING.match(line)
        if row or heading or new:
            self._block()
        if row:
            line = _in_lines(line[2:-2])
        else:
            line = _in_lines(line[heading.end() :]) if heading else unescape(line)
        self.lines.append(line)

    def _block(self) -> None:
        """Begin a block: a blank line precedes it."""
        if self.lines and self.lines[-1] != "":
            self.lines.append("")
