"""Markdown of text nodes: what structure it shows, and that plain text comes back exactly."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from benben import extract_page
from benben.pipeline.dataset.markdown import (
    MarkdownWriter,
    escape,
    node_facts,
    to_plain,
    unescape,
)
from benben.pipeline.document import Node

PAGE = """<article><h1>Barn owls</h1><p>They hunt by ear.</p>
<ul><li>A mouse</li><li>Two voles<ul><li>nested</li><li><p>one</p><p>two</p></li></ul></li></ul>
<ol><li>first</li><li>second</li></ol>
<table><tr><th>Prey</th><th>Weight</th></tr><tr><td>Mouse</td><td>20 g</td></tr></table>
<pre>for owl in barn:
    owl.hunt()

- done</pre><blockquote><p>Quoted</p><p>twice</p></blockquote><h2>Sizes</h2><p># no heading</p>
<p>1. no item</p></article>"""
MARKDOWN = """# Barn owls

They hunt by ear.

- A mouse
- Two voles
  - nested
  - one

    two

1. first
2. second

| Prey | Weight |
| --- | --- |
| Mouse | 20 g |

```
for owl in barn:
    owl.hunt()

- done
```

> Quoted
>
> twice

## Sizes

\\# no heading

1\\. no item"""


def plain_of(nodes: list[Node]) -> str:
    return "\n\n".join(node.text or "" for node in nodes)


def test_a_page_in_markdown_and_back() -> None:
    nodes = list(extract_page(f"<body>{PAGE}</body>", "http://a.test/").nodes)
    written = MarkdownWriter().write(nodes)
    assert written == MARKDOWN
    assert to_plain(written) == plain_of(nodes)


def test_what_is_known_of_each_node() -> None:
    nodes = list(extract_page(f"<body>{PAGE}</body>", "http://a.test/").nodes)
    found = list(node_facts(nodes))
    assert found[0] == {"index": 0, "tag": "h1", "level": 1}
    assert found[4] == {"index": 4, "tag": "li", "list_depth": 2, "section": 0}
    assert found[-1] == {"index": nodes[-1].index, "tag": "p", "section": nodes[-3].index}


def node(path: str, text: str) -> Node:
    return Node("text", 0, path=path, tag=path.rpartition("/")[2].partition(".")[0], text=text)


def test_an_item_goes_on_after_an_image_without_a_mark() -> None:
    writer = MarkdownWriter()
    assert writer.write([node("ul.1/li.1/p.1", "a")]) == "- a"
    after = [node("ul.1/li.1/p.3", "b"), node("ul.1/li.2", "c")]
    assert writer.write(after) == "b\n\n- c"


def test_items_that_hold_only_a_list_have_no_mark() -> None:
    nodes = [node("ul.1/li.1/ul.1/li.1", "a"), node("ul.1/li.1/ul.1/li.2", "b")]
    assert MarkdownWriter().write(nodes) == "- a\n- b"


def test_rows_of_one_cell_are_no_table() -> None:
    nodes = [node("table.1/tbody.1/tr.1/td.1", "a"), node("table.1/tbody.1/tr.2/td.1", "b")]
    assert MarkdownWriter().write(nodes) == "a\n\nb"


def test_an_item_that_begins_with_a_heading_is_a_section() -> None:
    nodes = [node("ul.1/li.1/h3.1", "Owls"), node("ul.1/li.1/p.2", "hunt"), node("ul.1/li.2", "x")]
    assert MarkdownWriter().write(nodes) == "### Owls\n\nhunt\n\n- x"


def test_blocks_in_a_heading_are_headings() -> None:
    assert MarkdownWriter().write([node("div.1/h2.1/div.1", "Owls")]) == "## Owls"


def test_quotations_that_only_indent_have_no_mark() -> None:
    nodes = [node("blockquote.1/pre.1", "x = 1"), node("ul.2/li.1/blockquote.1/p.1", "a")]
    assert MarkdownWriter().write(nodes) == "```\nx = 1\n```\n\n- a"


def test_a_table_begins_with_the_first_row_of_several_cells() -> None:
    rows = ["Prices", "Owl | 2", "Mouse"]
    nodes = [node(f"table.1/tbody.1/tr.{n}/td.1/p.1", row) for n, row in enumerate(rows, 1)]
    expected = "Prices\n\n| Owl | 2 |\n| --- | --- |\n| Mouse |"
    assert MarkdownWriter().write(nodes) == expected


def test_a_row_with_several_texts_is_layout() -> None:
    nodes = [node("table.1/tr.1/td.1/p.1", "Home | About"), node("table.1/tr.1/td.1/p.2", "b")]
    assert MarkdownWriter().write(nodes) == "Home | About\n\nb"


def test_code_with_fences_gets_a_longer_one() -> None:
    assert MarkdownWriter().write([node("pre.1", "a\n````\nb")]) == "`````\na\n````\nb\n`````"


def test_deep_lists_do_not_make_long_lines() -> None:
    nodes = [node("/".join(["ul.1/li.1"] * 500) + f"/ul.1/li.{n}", "a") for n in range(1, 200)]
    written = MarkdownWriter().write(nodes)
    assert to_plain(written) == plain_of(nodes)
    assert max(map(len, written.split("\n"))) < 100
    assert next(node_facts(nodes))["list_depth"] == 501


MARKS = st.sampled_from(
    ["#", "##", " ", "-", "*", "+", ">", "|", "```", "~~~", "=", "1.", "12)", "\\", "<br>", "\n",
     "\n\n", "a", "b | c", "_", "\t", "---", "| --- |", "\u2028", "\r", "&"]
)  # fmt: skip
TEXTS = st.one_of(st.lists(MARKS, max_size=12).map("".join), st.text(max_size=30))
PATHS = st.lists(
    st.sampled_from(
        ["ul.1/li.1", "ul.1/li.2", "ol.1/li.1", "ol.1/li.12", "blockquote.1", "blockquote.2",
         "div.1", "table.1/tr.1/td.1", "table.1/tr.2/td.1"]
    ), max_size=3
)  # fmt: skip
LEAVES = st.sampled_from(["p.1", "h1.1", "h6.2", "pre.1", "table.3/tr.1/th.1", "table.3/tr.2/td.1"])
NODES = st.lists(
    st.builds(lambda path, leaf, text: node("/".join([*path, leaf]), text), PATHS, LEAVES, TEXTS),
    min_size=1, max_size=8,
)  # fmt: skip


@given(st.lists(NODES, min_size=1, max_size=3))
def test_plain_text_comes_back_whatever_the_nodes_are(texts: list[list[Node]]) -> None:
    writer = MarkdownWriter()
    for nodes in texts:
        assert to_plain(writer.write(nodes)) == plain_of(nodes)


@given(TEXTS)
@example("\\1. x")
@example("1\\\\. x")
def test_an_escaped_line_comes_back(text: str) -> None:
    line = text.replace("\n", "")
    assert unescape(escape(line)) == line


@given(TEXTS)
def test_text_of_any_kind_is_read_without_an_error(text: str) -> None:
    assert isinstance(to_plain(text), str)
