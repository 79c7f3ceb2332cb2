"""Declarations of other packages: what is wrong with them is told by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benben.filters.declaration import Column, ImageFact, Signal
from benben.filters.signal_table import BUILT_IN, SignalError, collect
from benben.filters.signals.words import CHARS


def declared(name: str, count: Any, *scopes: Any) -> Signal:
    return Signal(name, scopes or ("text_node",), "count", "meaning", "source", count)


def column(name: str, scope: Any = "text_node") -> Column:
    return Column(name, scope, pa.int32(), lambda batch: np.zeros(len(batch)))


@pytest.mark.parametrize(
    ("signal", "told"),
    [
        (declared("words", column("mine")), "text_node has one of that name already"),
        (declared("mine", column("tokens")), "text_node has a column 'tokens' already"),
        (declared("mine", column("doc_id", "document"), "document"), "a column 'doc_id' already"),
        (declared("mine", column("index")), "text_node has a column 'index' already"),
        (declared("mine", "chars"), "signal 'mine' has no column: 'chars' is none"),
        (declared("mine", None), "signal 'mine' has no column: None is none"),
        (declared("mine", CHARS, "page"), "its scopes must be some of text_node, image_node"),
        (declared("mine", ImageFact("blur"), "document"), "'blur' of image_node has none for"),
        ("chars", "'chars' is not a signal"),
    ],
)
def test_wrong_declarations_are_refused(signal: Any, told: str) -> None:
    with pytest.raises(SignalError) as caught:
        collect({"benben": BUILT_IN, "acme (fine)": [signal]})
    assert str(caught.value).startswith("acme (fine): ")
    assert told in str(caught.value)


def test_signals_may_share_a_column() -> None:
    mine = column("mine")
    found = collect({"benben": BUILT_IN, "acme": [declared("one", mine), declared("two", mine)]})
    assert {"one", "two"} <= set(found["text_node"])
