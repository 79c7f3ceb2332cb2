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


def test_a_cell_that_spans_columns_or_rows_keeps_the_others_in_theirs() -> None:
    head = "<tr><th>Name<th>Mon<th>Tue"
    assert texts(f"<table>{head}<tr><td>Tom<td colspan=2>both<tr><td>Ann<td>x<td>y</table>") == [
        "Name | Mon | Tue",
        "Tom | both |",
        "Ann | x | y",
    ]
    assert texts(f"<table>{head}<tr><td rowspan=2>Tom<td>x<td>y<tr><td>v<td>w</table>") == [
        "Name | Mon | Tue",
        "Tom | x | y",
        "| v | w",
    ]
    assert texts("<table><tr><th>A<th>B<tr><td>x<td rowspan=9>y<tr><td>z</table>")[2] == "z |"


def test_a_cell_reaches_no_further_than_its_group_of_rows() -> None:
    head = "<thead><tr><th rowspan=2>Name<th>Age</thead>"
    assert texts(f"<table>{head}<tbody><tr><td>Tom<td>4</tbody></table>") == [
        "Name | Age",
        "Tom | 4",
    ]


def test_spans_of_a_table_in_a_cell_are_its_own() -> None:
    inner = "<table><tr><th colspan=2>A<th>B<tr><td>x<td>y<td>z</table>"
    outer = f"<table><tr><th>C<th>D<tr><td rowspan=2>{inner}<td>e<tr><td>f</table>"
    assert "A |  | B" in texts(outer)
    assert "x | y | z" in texts(outer)


@pytest.mark.parametrize("span", ["0", "-3", "99999999999999999999", "x", "", "2.5"])
def test_a_span_that_is_no_number_of_cells_costs_nothing(span: str) -> None:
    cells = f"<td colspan='{span}' rowspan='{span}'>a<td>b"
    found = texts(f"<table><tr><th>A<th>B<tr>{cells}<tr>{cells}</table>")
    assert all("a" in (text or "") and "b" in (text or "") for text in found[1:])


def test_a_row_of_one_cell_is_a_text_of_its_own() -> None:
    table = "<table><tr><th>A<th>B<tr><td colspan=2>Section<tr><td>x<td>y</table>"
    assert texts(table) == ["A | B", "Section", "x | y"]


def test_inline_elements_that_are_displayed_as_blocks_end_the_line() -> None:
    block = "<span style='display: block'>"
    assert texts(f"<p>{block}one</span>{block}two</span>three") == ["one", "two", "three"]
    assert texts(f"<pre>{block}a = 1</span>{block}  b = 2</span></pre>") == ["a = 1\n  b = 2"]
    links = page("<div><a href=/a style='display:flex'>one</a><a href=/b>two</a> three</div>")
    assert [(node.text, node.link_share) for node in links.texts()] == [
        ("one", 1.0),
        ("two three", pytest.approx(3 / 9, abs=0.01)),
    ]
    assert texts("<p>a<span style='display:inline-block'>b</span>c") == ["abc"]


@pytest.mark.parametrize(
    "hides",
    [
        "hidden",
        "style='display:none'",
        "style='position:absolute; left: -9999px'",
        "style='margin-left:0;left:-9999px'",
        "style='TOP :\t-10000em'",
    ],
)
def test_hidden_words_leave_the_sentence(hides: str) -> None:
    assert texts(f"<p>It costs <span {hides}>USD</span>5.") == ["It costs 5."]
    long = "a paragraph of text that is only seen by those who look for it"
    found = page(f"<p>It costs 5. <span {hides}>{long}</span></p>")
    assert [(node.text, node.hidden) for node in found.texts()] == [
        ("It costs 5.", False),
        (long, True),
    ]


@pytest.mark.parametrize(
    "style",
    ["left:-5px", "margin-left: -9999px", "left: 9999px", "left:", "left:-999px", "left-9999:1"],
)
def test_what_is_moved_a_little_is_not_hidden(style: str) -> None:
    assert not page(f"<div style='{style}'>some text</div>").nodes[0].hidden


@pytest.mark.parametrize("sign", ["#", "¶", "§", "🔗", "∞"])
def test_the_permalink_of_a_heading_is_no_text(sign: str) -> None:
    assert texts(f"<h2><a href='#use'>{sign}</a> Use</h2>") == ["Use"]
    assert texts(f"<p><a href='#use'>{sign}</a> Use</p>") == [f"{sign} Use"]


def test_headings_may_be_links_of_one_letter() -> None:
    assert texts("<h2><a href='#c'>C</a></h2>") == ["C"]


def test_control_characters_are_gone() -> None:
    assert texts("<p>a\x01b\x7fc\x08") == ["abc"]
    assert texts("<p>a\x0bb\x0cc") == ["a b c"]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<html lang=de><p>Er sagte <q>nie <q>mehr</q></q>.", "Er sagte „nie ‚mehr‘“."),
        ("<html lang=fr-BE><p><q>oui</q>", "«oui»"),
        ("<html lang=ja><p>彼は<q>はい</q>と言った", "彼は「はい」と言った"),
        ("<html lang=de><p lang=en_GB>He said <q>no</q>", "He said “no”"),
        ("<html xml:lang=zh-TW><p><q>好</q>", "「好」"),
        ("<p><q>a <q>b <q>c</q></q></q>", "“a ‘b ‘c’’”"),
    ],
)
def test_quotation_marks_are_those_of_the_language_around(html: str, text: str) -> None:
    assert texts(html) == [text]


@pytest.mark.parametrize(
    "html",
    [
        "<table class=highlight>\n<tr>\n <td class=blob-num data-line-number=1></td>\n"
        " <td class=blob-code>def f(x):</td></tr>\n<tr><td class=blob-num>2</td>\n"
        "<td class=blob-code>    return  <b>x</b></td></tr>\n"
        "<tr><td class=blob-num>3</td><td class=blob-code>\n</td></tr>"
        "<tr><td class=blob-num>4</td><td class=blob-code>g()</td></tr></table>",
        "<table><tr><th><a href=#1>1</a></th><td class=phabricator-source-code>def f(x):</td></tr>"
        "<tr><th>2</th><td class=phabricator-source-code>    return  x</td></tr>"
        "<tr><th>3</th><td class=phabricator-source-code></td></tr>"
        "<tr><th>4</th><td class=phabricator-source-code>g()</td></tr></table>",
        "<div><div class=line>def f(x):</div><div class=line>    return  <i>x</i></div>"
        "<div class=line><br></div><div class=line>g()</div></div>",
        "<div class=syntaxhighlighter><table><tr><td class=gutter><div>1</div><div>2</div></td>"
        "<td class=code><div class=line>def f(x):</div>"
        "<div class=line><code>&nbsp;&nbsp;&nbsp;&nbsp;</code><code>return  x</code></div>"
        "<div class=line><br></div><div class=line>g()</div></td></tr></table></div>",
    ],
)
def test_code_without_pre_is_one_text_without_line_numbers(html: str) -> None:
    assert texts(html) == ["def f(x):\n    return  x\n\ng()"]


@pytest.mark.parametrize(
    "mark", ["🔗", "⛓\ufe0f", "⚓\ufe0e", "[#]", "(link)", "Permalink", "[ ¶ ]"]
)
def test_permalinks_of_headings_are_signs_and_words_in_brackets(mark: str) -> None:
    assert texts(f"<h2>Usage <a href=#usage>{mark}</a></h2>") == ["Usage"]


def test_a_heading_that_is_a_link_into_the_page_stays() -> None:
    assert texts("<h2><a href=#link>Link</a></h2><h2>See <a href=#x>below</a></h2>") == [
        "Link",
        "See below",
    ]


@pytest.mark.parametrize(
    ("style", "shown"),
    [
        ("display:none; display:block", True),
        ("display:block; display:none", False),
        ("display: none !important; display:block", False),
        ("display:none; display:", False),
        ("--display: none", True),
        ("background: url(a;display:none)", True),
        ("left:-9999px; left: 0", True),
        ("visibility:hidden; visibility:visible", True),
    ],
)
def test_the_last_or_important_declaration_of_a_style_counts(style: str, shown: bool) -> None:
    node = next(iter(page(f"<p style='{style}'>text").texts()))
    assert node.hidden != shown


def test_what_a_reader_can_find_is_not_hidden() -> None:
    assert [node.hidden for node in page("<p hidden=until-found>a</p><p hidden>b").texts()] == [
        False,
        True,
    ]


def test_a_cell_of_all_rows_leaves_its_column_in_each() -> None:
    html = "<table><tr><th>A<th>B<th>C<tr><td rowspan=0>x<td>1<td>2<tr><td>3<td>4</table>"
    assert texts(html) == ["A | B | C", "x | 1 | 2", "| 3 | 4"]
