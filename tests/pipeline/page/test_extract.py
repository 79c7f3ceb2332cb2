"""Extraction against pages written for it: order, text, images, structure, limits."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benben import extract_page
from benben.pipeline import config
from benben.pipeline.document import Document
from benben.pipeline.page.extract import default_settings
from benben.pipeline.settings.extract import ExtractSettings

PAGES = Path(__file__).parent / "html"
PIECES = [
    "<div>", "</div>", "<p>", "<b>", "</b>", "<a href=x>", "</a>", "<img src=i>", "<br>", "<table>",
    "<tr>", "<td>", "<pre>", "</pre>", "<ul>", "<li>", "<figure>", "<figcaption>", "<noscript>",
    "<!-- -->", "<svg>", "text", "<div class=footer>", "<body>", "</body>", "<template>",
    "<select>", "<option>", "<a class=more-link>", "&amp;", "&#0;", "\x00", "漢字。", " ", "\n",
]  # fmt: skip
URL = "http://ex.com/a/b/c.html"


def texts(html: str) -> list[str | None]:
    return [node.text for node in extract_page(html, URL).texts()]


def images(html: str) -> list[str | None]:
    return [node.url for node in extract_page(html, URL).images()]


def changed(**changes: object) -> ExtractSettings:
    return ExtractSettings.model_validate(default_settings().model_dump() | changes)


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.html")), ids=lambda page: page.stem)
def test_page_gives_the_expected_nodes(page: Path) -> None:
    expected = yaml.safe_load(page.with_suffix(".yaml").read_text(encoding="utf-8"))
    document = extract_page(page.read_bytes(), expected["url"])
    for name, value in expected.get("document", {}).items():
        found = getattr(document, name)
        assert (list(found) if isinstance(found, tuple) else found) == value, name
    assert len(document.nodes) == len(expected["nodes"]), [
        node.text or node.url or node.kind for node in document.nodes
    ]
    for index, (node, wanted) in enumerate(zip(document.nodes, expected["nodes"], strict=True)):
        assert node.index == index
        for name, value in wanted.items():
            assert getattr(node, name) == value, f"node {index} ({node}): {name}"


def test_figure_gives_its_image_with_the_caption() -> None:
    html = "<figure><img src=u><figcaption>c</figcaption></figure>"
    document = extract_page(html, URL)
    image, caption = document.nodes
    assert (image.url, image.caption, image.figure) == ("http://ex.com/a/b/u", "c", 1)
    assert (caption.text, caption.tag, caption.figure) == ("c", "figcaption", 1)


def test_picture_is_one_image() -> None:
    html = "<picture><source srcset=w><img src=u></picture>"
    assert images(html) == ["http://ex.com/a/b/w"]


def test_breaks_with_attributes_break_the_line() -> None:
    assert texts("one<br class=x>two") == ["one\ntwo"]
    assert texts("one<br><br/>two") == ["one", "two"]


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("img/2.jpg", "http://ex.com/a/b/img/2.jpg"),
        ("../img/1.jpg", "http://ex.com/a/img/1.jpg"),
        ("w_300,h_200/x.jpg", "http://ex.com/a/b/w_300,h_200/x.jpg"),
        ("https://sussex.ac.uk/p.jpg", "https://sussex.ac.uk/p.jpg"),
    ],
)
def test_image_addresses(source: str, url: str) -> None:
    assert images(f"<img src='{source}'>") == [url]


def test_lazy_image_beats_its_placeholder() -> None:
    data = "data:image/gif;base64,R0lGOD,AAAA"
    assert images(f"<img src='{data}' data-src='real.jpg'>") == ["http://ex.com/a/b/real.jpg"]
    assert images(f"<img src='{data}'>") == []
    assert images("<img srcset='a 1x, b 2x'>") == ["http://ex.com/a/b/b"]


def test_noscript_image_counts_when_the_page_shows_it_nowhere_else() -> None:
    lazy = "<img src='data:,x'><noscript>Turn scripts on <img src=r.jpg></noscript>"
    assert images(lazy) == ["http://ex.com/a/b/r.jpg"]
    assert texts(lazy) == []
    assert images("<img data-src=r.jpg><noscript><img src=r.jpg></noscript>") == [
        "http://ex.com/a/b/r.jpg"
    ]


def test_background_image_of_an_inline_style() -> None:
    html = "<div style=\"background-image: url('hero.jpg')\"><p>Text</p></div>"
    assert images(html) == ["http://ex.com/a/b/hero.jpg"]


def test_classes_decide_by_whole_tokens() -> None:
    assert texts("<div class=update-box>kept</div>") == ["kept"]
    assert texts("<div class='footer dark'>gone</div><p>kept</p>") == ["kept"]
    assert texts("<div class='nav main'>gone</div><p>kept</p>") == ["kept"]
    assert texts("<div id=header>gone</div><div title=menu>gone</div>") == []


def test_read_more_link_ends_an_article() -> None:
    html = "<p>Start of it <a class='more-link' href=x>Read more</a></p><p>Next</p>"
    document = extract_page(html, URL)
    assert [(node.kind, node.text) for node in document.nodes] == [
        ("text", "Start of it"),
        ("break", None),
        ("text", "Next"),
    ]


def test_inline_elements_join_as_written() -> None:
    assert texts("<p>he<b>ll</b>o</p>") == ["hello"]
    assert texts("<p><b>a</b> <i>b</i><u> </u><s>c</s></p>") == ["a b c"]
    assert texts("<p><a>a</a><!-- x --> <!-- y --><a>b</a></p>") == ["a b"]
    assert texts("<div>a</div><div>b</div>") == ["a", "b"]


def test_obelics_texts_join_by_the_break_between_them() -> None:
    html = "<p>a</p><p>b</p><div>c</div><div>d<div>e</div></div><img src=i><div>f</div>"
    run = extract_page(html, URL, settings=changed(texts="run"))
    assert [node.text for node in run.texts()] == ["a\n\nb\n\nc\nd\ne", "f"]
    paragraph = extract_page(html, URL, settings=changed(texts="paragraph"))
    assert [node.text for node in paragraph.texts()] == ["a", "b", "c\nd\ne", "f"]


def test_preformatted_text_keeps_its_blanks() -> None:
    assert texts("<pre>\n if x:\n   <b>y</b> <i>z</i>\n</pre>") == [" if x:\n   y z"]


def test_table_rows_are_one_text_and_layout_tables_are_not() -> None:
    data = "<table><tr><th>A<th>B<tr><td>1<td>2</table>"
    assert texts(data) == ["A | B", "1 | 2"]
    assert texts("<table><tr><td><p>one</p><p>two</p><td>x</table>") == ["one", "two", "x"]


def test_hidden_elements_are_told_apart_or_dropped() -> None:
    html = "<p>seen</p><div style='display: none'><p>unseen</p></div><p hidden>no</p>"
    document = extract_page(html, URL)
    assert [node.hidden for node in document.nodes] == [False, True, True]
    assert len(extract_page(html, URL, settings=changed(hidden=False)).nodes) == 1


def test_link_share_and_declared_sizes() -> None:
    node = next(extract_page("<p>abcd <a href=x>efgh</a></p>", URL).texts())
    assert node.link_share == pytest.approx(4 / 9)
    image = next(extract_page("<img src=a width=20px height='50%'>", URL).images())
    assert (image.width, image.height) == (20, None)


@pytest.mark.parametrize(
    ("limit", "value", "html"),
    [
        ("page_bytes", 10, "<p>more than ten bytes</p>"),
        ("nodes", 5, "<p>x</p>" * 10),
        ("depth", 50, "<div>" * 100 + "x"),
        ("seconds", 1e-9, "<p>x</p>"),
    ],
)
def test_limits_become_reasons(limit: str, value: float, html: str) -> None:
    limits = default_settings().limits.model_dump() | {limit: value}
    document = extract_page(html, URL, settings=changed(limits=limits))
    assert (len(document.nodes), document.reason) == (0, f"extract.{limit}")


def test_deep_nesting_ends_with_a_reason() -> None:
    for tag in ("div", "b", "a", "table", "ul><li", "figure"):
        document = extract_page(f"<{tag}>" * 20_000 + "deep", URL)
        assert document.reason in (None, "extract.depth")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(PIECES),
        max_size=60,
    )
)
def test_any_html_gives_ordered_whole_nodes(parts: list[str]) -> None:
    document = extract_page(" ".join(parts), URL)
    check(document)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_document(payload: bytes) -> None:
    check(extract_page(payload, URL, {"Content-Type": "text/html"}))


def check(document: Document) -> None:
    for index, node in enumerate(document.nodes):
        assert node.index == index
        assert (node.kind == "text") == bool(node.text)
        assert (node.kind == "image") == bool(node.url)
        assert node.text is None or node.text == node.text.strip("\n")
        assert 0 <= node.link_share <= 1
        assert node.content_score is not None
        assert 0 <= node.content_score <= 1


def test_obelics_keeps_what_its_simplification_keeps() -> None:
    html = (
        "t<div class='post date'>d<p>x</p></div><ul><li>gone</ul><p>a</p><p>b</p>"
        "<table><tr><td>gone</table><x-y>gone</x-y><pre>gone</pre><h2>c</h2>"
    )
    obelics = config.load("obelics", ["input=[x]"]).extract
    document = extract_page(html, URL, settings=obelics)
    assert [node.text for node in document.nodes] == ["t\n\nx\n\na\n\nb\n\nc"]


def test_ruby_readings_do_not_part_the_text_they_annotate() -> None:
    assert texts("<p><ruby>虐待<rp>(</rp><rt>ぎゃくたい</rt><rp>)</rp></ruby>をなくす</p>") == [
        "虐待をなくす"
    ]
