"""Pages whose parsing would cost more than their bytes are refused before; real ones are not."""

from __future__ import annotations

import pytest

from benben import extract_page
from benben.pipeline.page.dom import prescan

PARAGRAPH = "<div class='a'><p>Some <b>words</b> of a <a href='/x'>page</a>.<br><img src=x></div>"


def repeated(text: str, number: int) -> str:
    return text * number


def joined(between: str, attribute: str) -> str:
    return between.join(attribute.format(number) for number in range(40_000))


QUOTED = "a{}='>'"
COSTLY = {
    "nested": (repeated("<div>", 60_000), "depth"),
    "nested and closed": (repeated("<div>", 30_000) + repeated("</div>", 30_000), "depth"),
    "end tags of nothing": (repeated("<div></x>", 60_000), "depth"),
    "end tags among spans": (repeated("<span>", 20_000) + repeated("</q>", 60_000), "depth"),
    "elements of its own": (repeated("<x-a>", 60_000), "depth"),
    "tables": (repeated("<table><tr><td>", 40_000), "depth"),
    "lists": (repeated("<ul><li>", 60_000), "depth"),
    "links and blocks": (repeated("<a><div></a>", 40_000), "depth"),
    "capitals": (repeated("<DIV\n>", 60_000), "depth"),
    "attributes": (f"<p {joined(' ', 'a{}')}>", "attributes"),
    "quoted": (f"<p {joined(' ', QUOTED)}>", "attributes"),
    "slashes": (f"<p {joined('/', 'a{}')}>", "attributes"),
    "formatting": (
        "".join(f"<b a={n}>" for n in range(300)) + repeated("<p>x", 20_000),
        "elements",
    ),
    "small formatting": (
        "".join(f"<b a={n}>" for n in range(900)) + repeated("<p>x", 20_000),
        "elements",
    ),
    "tags": (repeated("<br>", 2_000_000), "elements"),
    "comments": (repeated("<!>", 2_000_000), "elements"),
    "declarations": (repeated("<?>", 2_000_000), "elements"),
    "end tags that make breaks": (repeated("</br>", 2_000_000), "elements"),
    "end tags that make paragraphs": ("<body>" + repeated("</p>", 2_000_000), "elements"),
    "end tags with attributes": (repeated("</b a b c d e f g>", 200_000), "elements"),
    "less-than signs": (repeated("<", 10_000_000), "elements"),
    "zero bytes": (repeated("\0", 10_000_000), "elements"),
    "attributes of long tags": (
        repeated(f"<q{''.join(f' {number:x}' for number in range(6_000))}>", 30),
        "attributes",
    ),
    "names": ("".join(f"<x{number}></x{number}>" for number in range(200_000)), "elements"),
    "slashes of tags": (repeated(f"<br{repeated('/', 200)}>", 50_000), "elements"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_costly_page_is_refused_with_a_reason(name: str) -> None:
    html, reason = COSTLY[name]
    document = extract_page(html, "http://a.example/")
    assert (document.reason, len(document.nodes)) == (f"extract.{reason}", 0)


FINE = {
    "long": repeated(PARAGRAPH, 30_000),
    "unclosed paragraphs": repeated("<p>words<br>", 100_000),
    "unclosed items": f"<ul>{repeated('<li>words', 60_000)}</ul>",
    "unclosed cells": f"<table>{repeated('<tr><td>a<td>b', 40_000)}</table>",
    "unclosed bold": repeated("<b>words<p>", 5_000),
    "long script": f"<script>{repeated('if (a < b) { x = `<div>`; } ', 20_000)}</script><p>words",
    "long style": f"<style>{repeated('div > p { color: red }', 20_000)}</style><p>words",
    "long comment": f"<!-- {repeated('<div> ', 60_000)} --><p>words",
    "long value": f"<div data-x='{repeated('a b=c <div> > ', 40_000)}'><p>words</div>",
    "long text": repeated("words and words ", 60_000),
    "picture": f"<img src='data:image/png;base64,{repeated('QUJD', 60_000)}'><p>words",
    "drawing": f"<svg>{repeated('<path d=M0/>', 40_000)}</svg><p>words",
    "levels": repeated(repeated("<div>", 300) + repeated("</div>", 300), 50),
}


@pytest.mark.parametrize("name", FINE)
def test_a_large_page_is_no_costly_one(name: str) -> None:
    assert prescan.survey(FINE[name].encode()).limit == ""


def test_a_long_title_has_room() -> None:
    """A title is noted with two bytes more than its text; memory beyond is someone else's."""
    title = repeated("<title>", 300_000)
    document = extract_page(title, "http://a.example/")
    assert len(document.title or "") == len(title) - len("<title>")


@pytest.mark.parametrize(
    "end", ["<", "</", "<!", "<!-", "<!--", "<a", "<a b", "<a b=", "<a b='", "<b", "<p", "<script"]
)
def test_a_page_may_end_anywhere(end: str) -> None:
    for length in range(20):
        page = (repeated(PARAGRAPH, 300) + "x" * length + end).encode()
        assert prescan.survey(page).limit == ""


def test_pieces_of_a_page_cost_no_more_than_a_page() -> None:
    """Scripts with formulas and contents of <noscript> are parsed by themselves."""
    nested = repeated("<div>", 15_000)
    for piece in (f"<script type='math/mml'>{nested}</script>", f"<noscript>{nested}</noscript>"):
        assert extract_page(piece, "http://a.example/").reason == "extract.depth"
    formula = "<script type='math/mml'><math><mi>x</mi></math></script>"
    assert len(extract_page(repeated(formula, 3_000), "http://a.example/").nodes) > 0
