"""Elements of gold Markdown, and which of them a text has."""

from benchmarks.support.gold_structure import kept, parts

MARKDOWN = """# Barn owls

They hunt [by ear](https://example.org/ear).

- A **mouse**
2. Two voles

| Prey | Weight |
| --- | --- |
| Mouse | 20 g |

```python
for owl in barn:
    owl.hunt()
```
"""


def test_headings_items_rows_and_code_are_found_in_order() -> None:
    found = [(part.kind, part.text) for part in parts(MARKDOWN)]
    assert found == [
        ("heading", "Barn owls"),
        ("list_item", "A mouse"),
        ("list_item", "Two voles"),
        ("table_row", " Prey   Weight "),
        ("table_row", " Mouse   20 g "),
        ("code", "for owl in barn:\n    owl.hunt()"),
    ]


def test_an_element_is_kept_where_all_its_tokens_stand_in_a_row() -> None:
    wanted = list(parts(MARKDOWN))
    text = "Barn owls eat two voles. Mouse: 20 g. A MOUSE!"
    assert kept(wanted, text) == [True, True, True, False, True, False]


def test_links_entities_and_soft_hyphens_do_not_hide_an_element() -> None:
    gold = (
        "- [Agent [beta]](https://example.org/a): caf\xe9 &amp; bar\n"
        '- [Owls](b "Owls") dead\xadline\n'
    )
    wanted = list(parts(gold))
    assert [part.text for part in wanted] == ["Agent [beta]: caf\xe9 & bar", "Owls deadline"]
    assert kept(wanted, "Agent [beta]: caf\xe9 & bar\n\nOwls deadline") == [True, True]


def test_an_item_goes_on_over_indented_lines() -> None:
    found = parts(
        "- Owls\n  by night\n- Mice\nby day\n\n  text\n1. Voles\n   - in fields\n# Barns\n"
    )
    assert [(part.kind, part.text) for part in found] == [
        ("list_item", "Owls by night"),
        ("list_item", "Mice"),
        ("list_item", "Voles"),
        ("list_item", "in fields"),
        ("heading", "Barns"),
    ]
    code = "```\n- not an item\n  more\n```"
    assert [(part.kind, part.text) for part in parts(code)] == [("code", "- not an item\n  more")]
