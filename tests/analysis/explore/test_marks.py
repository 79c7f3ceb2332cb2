from __future__ import annotations

import re

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from benben.analysis.explore import original
from benben.analysis.explore.marks import LINE, VERDICT
from benben.analysis.provenance.history import NodeView, Piece
from benben.pipeline import extract_page

PAGE = """<html><head><title>t</title><script>one()</script></head><body>
<script>two()</script><main data-benben-line="Kept by the page itself"><h1>The harbour</h1>
<p>Boats leave <b>every hour</b> <img src="boat.png" alt="A boat"> in the summer months</p>
<table><tr><td>Adult</td><td>4 pounds</td></tr><tr><td>Child</td><td>2 pounds</td></tr></table>
<ul><li>Bring water</li><li>Bring a hat</li></ul>Loose words at the end</main></body></html>"""


def drawn(page: str, dropped: tuple[str, ...] = ()) -> LexborHTMLParser:
    """The page as it was, with the nodes that begin with some words dropped."""
    nodes = [
        NodeView(
            index=node.index,
            kind=node.kind,
            tag=node.tag or "",
            path=node.path,
            pieces=[
                Piece(text, "text_node.words.min", 3.0, 4.0) if text.startswith(dropped)
                else Piece(text)
                for text in ((node.text or node.url or "").split("\n\n"))
            ],
        )
        for node in extract_page(page, "http://site.example/").nodes
    ]  # fmt: skip
    shown = original.safe_page(page, {}, nodes)
    assert shown is not None
    return LexborHTMLParser(shown)


def marked(tree: LexborHTMLParser) -> list[tuple[str | None, str]]:
    found: list[LexborNode] = tree.css(f"[{VERDICT}]")
    return [(one.attributes[VERDICT], " ".join(one.text().split())) for one in found]


def test_each_node_is_marked_where_it_stands() -> None:
    assert marked(drawn(PAGE, ("Bring a", "in the summer", "http"))) == [
        ("kept", "The harbour"),
        ("kept", "Boats leave"),
        ("kept", "every hour"),
        ("dropped", ""),  # the image
        ("dropped", "in the summer months"),
        ("kept", "Adult4 pounds"),  # a row is one node
        ("kept", "Child2 pounds"),
        ("kept", "Bring water"),
        ("dropped", "Bring a hat"),
        ("kept", "Loose words at the end"),
    ]


def test_the_line_says_why_and_only_ours_is_shown() -> None:
    tree = drawn(PAGE, ("Bring a",))
    lines = [one.attributes[LINE] or "" for one in tree.css(f"[{LINE}]")]
    (why,) = (line for line in lines if line.startswith("Dropped"))
    assert re.match(r"Dropped: text_node\.words\.min: 3, bound 4 \(node \d+\)$", why)
    assert not any("itself" in line for line in lines)


def test_a_node_with_a_dropped_paragraph_is_dropped_in_part() -> None:
    page = "<body><pre>first words of it\n\nsecond words of it</pre></body>"
    assert [verdict for verdict, _ in marked(drawn(page, ("second",)))] == ["partly"]


def test_paths_of_xhtml_lead_to_their_elements() -> None:
    page = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>'
        '<div><a id="x"/><p>First words here</p><p>Second words here</p></div></body></html>'
    )
    assert [text for _, text in marked(drawn(page))] == ["First words here", "Second words here"]


def test_what_a_page_writes_is_never_code_of_the_marks() -> None:
    page = '<body><p>a "><script>evil()</script> b</p><img src="x&quot;onerror=evil()"></body>'
    tree = drawn(page, ("a", "http"))
    assert tree.css("script") == []
    assert not any(
        name.startswith("on") for element in tree.css("*") for name in element.attributes
    )


@pytest.mark.parametrize(
    "page",
    ["<div>" * 200_000, f"<body><noscript>{'<b><div>' * 200_000}</noscript>",
     f"<p><template shadowrootmode=open><slot></slot></template>{'<div>' * 300_000}",
     f"<div{''.join(f' a{number}' for number in range(60_000))}>"],
    ids=["elements", "noscript", "shadow root", "attributes"],
)  # fmt: skip
def test_a_page_that_extraction_refuses_to_parse_is_not_shown(page: str) -> None:
    assert original.safe_page(page) is None
