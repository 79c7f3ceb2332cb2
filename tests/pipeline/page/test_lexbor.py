"""Lexbor's nodes read by address: the layout is checked, names and values come out."""

from __future__ import annotations

from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from benben.pipeline.page.dom import lexbor
from benben.pipeline.page.dom.lexbor import (
    DYNAMIC,
    attribute_after,
    attribute_of,
    check_layout,
    hash_name,
    name_hash,
    name_of,
    value_of,
)


@pytest.mark.parametrize("name", ["NAME", "NEXT", "PARENT_NODE", "FIRST_CHILD", "TYPE", "LENGTH"])
def test_another_layout_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_layout()
    monkeypatch.setattr(lexbor, name, 16)  # of a node's prefix, 0 in a page
    with pytest.raises(ImportError, match=r"install the selectolax of requirements.lock"):
        check_layout()


@pytest.mark.parametrize(
    "name", ["data-a", "data-exactly-16c", "data-more-than-sixteen-bytes", "x"]
)
def test_names_lexbor_does_not_know_are_told_apart_by_hash(name: str) -> None:
    tree = LexborHTMLParser(f"<p {name}=1 {name}2=2>")
    element: Any = tree.css_first("p")
    first = attribute_of(element.mem_id)
    second = attribute_after(first)
    assert name_of(first) >= DYNAMIC
    assert name_hash(name_of(first)) == hash_name(name)
    assert name_hash(name_of(second)) == hash_name(f"{name}2")
    assert attribute_after(second) == 0
    assert value_of(second)[1] == 1
