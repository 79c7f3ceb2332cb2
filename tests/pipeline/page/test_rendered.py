"""Text as a browser shows it: white space, invisible characters, marks, code, tables, links."""

from __future__ import annotations

import pytest

from benben import extract_page
from benben.pipeline.document import Document
from benben.pipeline.page.extract import default_settings
from benben.pipeline.settings.extract import ExtractSettings

URL = "http://ex.com/a/b.html"


def texts(html: str, settings: ExtractSettings | None = None) -> list[str | None]:
    return [node.text for node in page(html, settings).texts()]


def page(html: str, settings: ExtractSettings | None = None) -> Document:
    return extract_page(html, URL, settings=settings)


def changed(**changes: object) -> ExtractSettings:
    return ExtractSettings.model_validate(default_settings().model_dump() | changes)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Bundes&shy;verfassungs&shy;<b>ge&shy;richt</b>", "Bundesverfassungsgericht"),
        ("<p>one &#8203; two&#8203;three &#xFEFF;", "one twothree"),
        ("<p>Auf&zwnj;lage", "Auflage"),
        ("<p>می&zwnj;خواهم", "می\u200cخواهم"),
        ("<p>क्&zwj;ष", "क्\u200dष"),
        ("<p>👨&zwj;👩&zwj;👧 and 🏳️&zwj;🌈", "👨\u200d👩\u200d👧 and 🏳️\u200d🌈"),
        ("<pre>a&#8203;b\n&shy;c</pre>", "ab\nc"),
    ],
)
def test_invisible_characters_are_gone_but_for_joiners_that_count(html: str, text: str) -> None:
    assert texts(html) == [text]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>今天\n  天气<b>\n很好</b>", "今天天气很好"),
        ("<p>カタカナ\nと、\nひらがな", "カタカナと、ひらがな"),
        ("<p>他说：“好。”\n然后走了", "他说：“好。”然后走了"),
        ("<p>한국어\n문장", "한국어 문장"),
        ("<p>今天 天气", "今天 天气"),
        ("<p>用 Python\n写", "用 Python 写"),
        ("<p>“Yes,”\nshe said", "“Yes,” she said"),
    ],
)
def test_line_breaks_between_wide_characters_are_not_rendered(html: str, text: str) -> None:
    assert texts(html) == [text]


def test_lines_are_kept_where_the_style_keeps_them() -> None:
    assert texts("<div style='white-space: pre-line'>a  b\nc\n\nd</div>") == ["a b\nc", "d"]
    assert texts("<div style='white-space:pre-wrap'>a\n  b</div>") == ["a\n  b"]
    assert texts("<div style='white-space:nowrap'>a\n  b</div>") == ["a b"]


def test_quotes_have_their_marks() -> None:
    assert texts("<p>She said <q>never</q>.") == ["She said “never”."]
    assert texts("<p><q>He cried <q>no</q> twice</q>") == ["“He cried ‘no’ twice”"]
    assert texts("<p><q>“once”</q> and <q>«deux»</q>") == ["“once” and «deux»"]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("10<sup>6</sup>", "10⁶"),
        ("10<sup>-6</sup> m<sup>2</sup>", "10⁻⁶ m²"),
        ("CO<sub>2</sub> and Ca<sup>2+</sup>", "CO₂ and Ca²⁺"),
        ("2<sup><i>n</i></sup>", "2ⁿ"),
        ("x<sup>2/3</sup>", "x^2/3"),
        ("the 2<sup>nd</sup> M<sup>me</sup>", "the 2nd Mme"),
        ("<sup>1</sup> A note", "1 A note"),
    ],
)
def test_digits_above_and_below_the_line_do_not_run_together(html: str, text: str) -> None:
    assert texts(f"<p>{html}") == [text]


@pytest.mark.parametrize(
    "mark",
    [
        '<sup class="reference"><a href="#cite-1">[1]</a></sup>',
        '<sup><a href="./Page#cite_note-2"><span>[</span>2<span>]</span></a></sup>',
        '<a href="#fn3" id="ref3"><sup>3</sup></a>',
        '<sup id="fnref:4"><a href="#fn:4" role="doc-noteref">4</a></sup>',
        "<sup>[5]</sup>",
        '<sup><a href="#n">*</a></sup>',
    ],
)
def test_marks_of_notes_go_or_stay_by_a_switch(mark: str) -> None:
    html = f"<p>It was founded in 1204.{mark} Later it grew."
    assert texts(html) == ["It was founded in 1204. Later it grew."]
    (kept,) = texts(html, changed(note_marks=True))
    assert kept not in (None, "It was founded in 1204. Later it grew.")


def test_marks_of_the_site_are_gone() -> None:
    wiki = "<h2>History <span class=mw-editsection>[<a href=/e>edit</a>]</span></h2>"
    sphinx = "<h2>Usage<a class=headerlink href=#usage title=Permalink>¶</a></h2>"
    assert texts(wiki + sphinx) == ["History", "Usage"]


def test_unknown_elements_are_inline_unless_they_hold_a_block() -> None:
    assert texts("<p>in <st1:place>Rome</st1:place>, <x-a>Via</x-a>") == ["in Rome, Via"]
    assert texts("<x-a>one<x-b><p>two</p></x-b></x-a>three") == ["one", "two", "three"]
    assert texts("<x-a>" * 900 + "deep") == ["deep"]


def test_links_without_an_address_are_none() -> None:
    html = "<p><a name=p1>One sentence of some length.</a> <a href=x>two</a></p>"
    (node,) = page(html).texts()
    assert node.link_share == pytest.approx(3 / len(node.text or ""))


def test_lines_of_code_are_one_text() -> None:
    expected = ["def f():\n    return 1\n\nf()"]
    lines = ["def f():", "    return 1", "<br>", "f()"]
    for tag in ("div", "p", "li"):
        body = "".join(f"<{tag}>{line}</{tag}>" for line in lines)
        assert texts(f"<pre><code>{body}</code></pre>") == expected
    rows = "".join(f"<tr><td class=lineno>{n}</td><td>{x}</td></tr>" for n, x in enumerate(lines))
    assert texts(f"<pre><table>{rows}</table></pre>") == expected


@pytest.mark.parametrize(
    "gutter",
    [
        "<td class=linenos><div class=linenodiv><pre>1\n2</pre></div></td>",
        "<td class=gutter><pre><span>1</span><br><span>2</span></pre></td>",
        "<td class='rouge-gutter gl'><pre>1\n2\n</pre></td>",
    ],
)
def test_line_numbers_are_no_text(gutter: str) -> None:
    html = f"<table><tr>{gutter}<td class=code><pre>a = 1\nb = 2</pre></td></tr></table>"
    assert texts(html) == ["a = 1\nb = 2"]
    assert texts("<pre class=line-numbers>a\n<span class=lineno>2 </span>b</pre>") == ["a\nb"]


def test_empty_cells_keep_columns_apart() -> None:
    head = "<tr><th></th><th>Kind</th><th>Age</th></tr>"
    rows = "<tr><td>Tom</td><td>cat</td><td></td></tr><tr><td>Rex</td><td></td><td>7</td></tr>"
    assert texts(f"<table>{head}{rows}</table>") == ["| Kind | Age", "Tom | cat |", "Rex |  | 7"]


def test_cells_of_data_tables_may_hold_paragraphs() -> None:
    html = (
        "<table><tr><th>Name</th><th>About</th></tr>"
        "<tr><td><p>Tom</p></td><td><p>A cat.</p><p>Grey.</p></td></tr></table>"
    )
    assert texts(html) == ["Name | About", "Tom | A cat. Grey."]


def test_columns_without_any_text_are_spacing() -> None:
    row = "<tr><td></td><td>{}</td><td></td><td>{}</td></tr>"
    assert texts(f"<table>{row.format('a', 'b')}{row.format('c', 'd')}</table>") == [
        "a | b",
        "c | d",
    ]
