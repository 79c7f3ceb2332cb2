"""Nodes as columns: there and back, alone and several pages at once."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from benben.pipeline import document
from benben.pipeline.document import Node, from_nodes, to_array

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@st.composite
def pages(draw: Any) -> list[Node]:
    nodes = []
    for index in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(document.KINDS))
        node = Node(kind, index, draw(TEXT), draw(st.sampled_from(["p", "div", "*"])))
        node.hidden, node.figure = draw(st.booleans()), draw(st.none() | st.integers(1, 9))
        node.comment = draw(st.booleans())
        node.content_score = draw(st.none() | SHARES)
        if kind == "text":
            node.text, node.link_share = draw(TEXT), draw(SHARES)
        if kind == "image":
            node.url, node.alt, node.width = draw(TEXT), draw(st.none() | TEXT), draw(st.none())
        nodes.append(node)
    return nodes


@given(st.lists(pages(), max_size=4))
@settings(max_examples=60, deadline=None)
def test_nodes_come_back_as_they_were(found: list[list[Node]]) -> None:
    columns = [from_nodes(nodes) for nodes in found]
    assert [list(page) for page in columns] == found
    rows = to_array(columns).to_pylist()
    assert [Node(**row) for row in rows] == [node for nodes in found for node in nodes]


def test_columns_are_a_sequence_of_nodes() -> None:
    nodes = [Node("text", 0, text="a", tag="p"), Node("image", 1, url="u", tag="p")]
    columns = from_nodes(nodes)
    assert from_nodes(columns) is columns
    assert columns == nodes
    assert (len(columns), columns[-1].url, columns[:1]) == (2, "u", nodes[:1])
    assert len(from_nodes(())) == 0
