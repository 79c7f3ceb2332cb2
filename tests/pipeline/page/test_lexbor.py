"""Lexbor's nodes read by address: the layout is checked, names and values come out."""

from __future__ import annotations

import importlib.util
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

OFFSETS = [
    "NAME", "NEXT", "PARENT_NODE", "FIRST_CHILD", "TYPE", "DATA", "LENGTH",
    "FIRST_ATTRIBUTE", "NEXT_ATTRIBUTE", "VALUE", "VALUE_LENGTH", "ENTRY_LENGTH",
]  # fmt: skip


@pytest.mark.parametrize("offset", [0, 16, 200])
@pytest.mark.parametrize("name", OFFSETS)
def test_another_layout_is_refused(name: str, offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check_layout()
    monkeypatch.setattr(lexbor, name, offset)
    with pytest.raises(ImportError, match=r"install the selectolax of requirements.lock"):
        check_layout()


@pytest.mark.parametrize("length", [7, 15, 24])
def test_names_stored_elsewhere_are_another_layout(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexbor, "SHORT_NAME", length)
    with pytest.raises(ImportError, match=r"install the selectolax of requirements.lock"):
        check_layout()


def test_a_selectolax_without_what_is_needed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import selectolax.lexbor

    monkeypatch.delattr(selectolax.lexbor, "LexborDocumentOptions")
    spec = importlib.util.find_spec(lexbor.__name__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ImportError, match=r"install the selectolax of requirements.lock"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


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
