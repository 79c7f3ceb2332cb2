"""Draws the verdicts on the nodes of a page into the page: a mark, and a line to show on hover.

A node is found by its path from `body`. Style sheets do the rest, so that the page needs no script.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from benben.analysis.provenance.history import NodeView

VERDICT, LINE = "data-benben-verdict", "data-benben-line"
PREFIX = "data-benben"  # of our attributes: a page's own of this name are taken off
KEPT, PARTLY, DROPPED = "kept", "partly", "dropped"
CELLS = ("td", "th")
STYLE = """
[data-benben-verdict] { outline: 1px solid rgba(42, 127, 98, .5) !important;
  outline-offset: 1px !important; }
img[data-benben-verdict] { min-width: 24px !important; min-height: 24px !important; }
[data-benben-verdict=dropped] { outline: 2px dashed #c4571c !important;
  background-color: rgba(196, 87, 28, .16) !important; }
[data-benben-verdict=partly] { outline: 2px dotted #c4571c !important; }
[data-benben-verdict]:is(:hover, :focus) { outline-width: 3px !important; }
[data-benben-verdict=kept]:is(:hover, :focus) { outline-color: #2a7f62 !important; }
[data-benben-line]:is(:hover, :focus):not(:has([data-benben-line]:hover))::after,
[data-benben-image]:has(+ img:is(:hover, :focus))::after {
  content: attr(data-benben-line) !important; display: block !important; visibility: visible !important;
  position: fixed !important; inset: auto 0 0 0 !important; z-index: 2147483647 !important;
  width: auto !important; height: auto !important; margin: 0 !important; padding: 8px 12px !important;
  font: 14px/1.45 system-ui, sans-serif !important; text-align: left !important;
  text-indent: 0 !important; text-transform: none !important; letter-spacing: normal !important;
  white-space: pre-line !important; overflow-wrap: anywhere !important; opacity: 1 !important;
  color: #fff !important; background: #17352b !important; pointer-events: none !important; }
[data-benben-line^="Dropped"]::after, [data-benben-line^="In part"]::after {
  background: #5a2608 !important; }
"""  # noqa: E501


@dataclass
class _Target:
    """An element, and the nodes whose path leads to it."""

    element: LexborNode
    nodes: list[NodeView] = field(default_factory=list)


def draw(tree: LexborHTMLParser, nodes: Sequence[NodeView]) -> int:
    """Mark the elements of a page's nodes with their verdicts; returns how many nodes were found.

    The tree must be as it was parsed, since paths count elements.
    """
    for element in tree.css("*"):
        for name in list(element.attributes):
            if name.lower().startswith(PREFIX):
                del element.attrs[name]
    targets = _targets(tree, nodes)
    holders = {
        one.mem_id for target in targets.values() for one in _ancestors(target.element)
    }  # they hold other nodes, too
    found = 0
    for target in targets.values():
        images = [node for node in target.nodes if node.kind == "image"]
        texts = [node for node in target.nodes if node.kind != "image"]
        if images:
            _mark_image(tree, target.element, images)
            found += len(images)
        if texts and target.element.mem_id in holders:
            found += len(_mark_runs(tree, target.element, texts, holders | targets.keys()))
        elif texts:
            _mark(_row_of(target.element, targets, holders), texts)
            found += len(texts)
    style = tree.create_node("style")
    style.insert_child(STYLE)
    if tree.head is not None:
        tree.head.insert_child(style)
    return found


def reached(tree: LexborHTMLParser, nodes: Sequence[NodeView]) -> int:
    """Number of nodes whose path leads to an element."""
    return sum(len(target.nodes) for target in _targets(tree, nodes).values())


def element_at(body: LexborNode, path: str) -> LexborNode | None:
    """The element at a path such as `div.1/p.3`: tags, and positions among the elements beside."""
    element = body
    for step in path.split("/"):
        tag, _, position = step.rpartition(".")
        if not position.isdecimal():
            return None
        child = next(
            (one for place, one in enumerate(element.iter(), 1) if place == int(position)), None
        )
        if child is None or child.tag != tag:
            return None
        element = child
    return element


def _targets(tree: LexborHTMLParser, nodes: Sequence[NodeView]) -> dict[int, _Target]:
    targets: dict[int, _Target] = {}
    for node in nodes:
        element = element_at(tree.body, node.path) if tree.body and node.path else None
        if element is not None:
            targets.setdefault(element.mem_id, _Target(element)).nodes.append(node)
    return targets


def _ancestors(element: LexborNode) -> Iterator[LexborNode]:
    parent = element.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def _row_of(element: LexborNode, targets: dict[int, _Target], holders: set[int]) -> LexborNode:
    """The row of a table whose first cell a node's path names; otherwise the element."""
    row = element.parent
    if element.tag not in CELLS or row is None or row.tag != "tr":
        return element
    others = [one for one in row.iter() if one.mem_id != element.mem_id]
    taken = any(one.mem_id in targets or one.mem_id in holders for one in others)
    return element if taken else row


def _mark_runs(
    tree: LexborHTMLParser, element: LexborNode, nodes: list[NodeView], busy: set[int]
) -> set[int]:
    """Mark texts that stand in an element beside elements of other nodes; each by its node.

    `busy`: elements of nodes, and those that hold some. Returns the indexes of nodes found.
    """
    found: set[int] = set()
    words = {node.index: _plain(" ".join(one.text for one in node.pieces)) for node in nodes}
    for child in list(element.iter(include_text=True)):
        text = _plain(child.text() or "")
        node = next((one for one in nodes if text and text in words[one.index]), None)
        if child.mem_id in busy:
            if any(one.mem_id in busy for one in child.iter()):
                found |= _mark_runs(tree, child, nodes, busy)
        elif node is not None:
            found.add(node.index)
            if child.is_text_node:
                mark = tree.create_node("span")
                mark.insert_child(child.text())
                _mark(mark, [node])
                child.replace_with(mark)
            else:
                _mark(child, [node])
    return found


def _mark(element: LexborNode, nodes: list[NodeView]) -> None:
    verdict = _verdict(nodes)
    element.attrs[VERDICT] = verdict
    element.attrs[LINE] = "\n".join(dict.fromkeys(_line(node) for node in nodes))
    element.attrs["tabindex"] = "0"


def _mark_image(tree: LexborHTMLParser, element: LexborNode, nodes: list[NodeView]) -> None:
    """Mark an image, which shows no line itself: an empty element before it does."""
    _mark(element, nodes)
    if element.tag == "img":
        line = tree.create_node("span")
        line.attrs[LINE] = element.attrs[LINE]
        line.attrs["data-benben-image"] = ""
        element.insert_before(line)


def _verdict(nodes: list[NodeView]) -> str:
    if all(node.dropped for node in nodes):
        return DROPPED
    return PARTLY if any(piece.reason for node in nodes for piece in node.pieces) else KEPT


def _line(node: NodeView) -> str:
    """What is said of a node: its verdict, with the values and bounds that decided."""
    reasons = {
        f"{piece.reason}{_number(': ', piece.value)}{_number(', bound ', piece.bound)}"
        for piece in node.pieces
        if piece.reason
    }
    title = {DROPPED: "Dropped", PARTLY: "In part dropped", KEPT: "Kept"}[_verdict([node])]
    score = "" if node.score is None else f"; content score {node.score:,.3g}"
    more = "".join(f"\n{line}" for line in node.inherited)
    why = f": {'; '.join(sorted(reasons))}" if reasons else ""
    return f"{title}{why} (node {node.index}{score}){more}"


def _number(before: str, value: float | None) -> str:
    return "" if value is None else f"{before}{value:,.4g}"


def _plain(text: str) -> str:
    """A text without white space, by which a part of a node is told."""
    return "".join(text.split())
