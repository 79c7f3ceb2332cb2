"""The table SIGNALS as flat numpy columns: one row a paragraph, an image or a document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benben.filters.signal import CATALOGUE, Scope, Signal
from benben.filters.signals.repetition import CHARACTERS, WORDS

Integers = NDArray[np.int64]
Counts = Callable[[str], Any]  # column name -> Floats or Names
MAIN_CONTENT = 0.5  # content score that `Document.main_text` takes as main content


class Nested:
    """Entries of a list<struct> column of a batch, and the row (document) of each."""

    def __init__(self, column: pa.ListArray) -> None:
        offsets = column.offsets.to_numpy().astype(np.int64)
        lengths = np.diff(offsets)
        lengths[column.is_null().to_numpy(zero_copy_only=False)] = 0
        self.entries: pa.StructArray = column.flatten()
        self.first = np.append(0, np.cumsum(lengths))  # first entry of each row, and the end
        self.document = np.repeat(np.arange(len(lengths)), lengths)
        self._known: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.document)

    def has(self, name: str) -> bool:
        """Tell whether the entries have a field."""
        return bool(self.entries.type.get_field_index(name) >= 0)

    def __call__(self, name: str) -> Any:
        """A field as numbers (null: NaN) or, if it is text, as names."""
        if name not in self._known:
            self._known[name] = to_numpy(self.entries.field(name))
        return self._known[name]

    def integers(self, name: str) -> Integers:
        """A field without nulls."""
        return np.asarray(self(name), np.int64)


def to_numpy(column: pa.Array) -> Any:
    """Numbers as float64 (null: NaN), text as Names."""
    if pa.types.is_string(column.type):
        encoded = column.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return encoded.dictionary.to_pylist(), codes.astype(np.int64)
    return pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)


def paragraph_count(paragraphs: Nested, name: str) -> Any:
    """A count of each paragraph: a stored column, or one made of them."""
    if name == "char_grams":
        return np.maximum(paragraphs("chars") - CHARACTERS + 1, 0)
    if name == "word_grams":
        return np.maximum(paragraphs("words") - WORDS + 1, 0)
    if name == "duplicate_chars":
        return paragraphs("duplicate") * paragraphs("chars")
    if name == "link_chars":
        return paragraphs("link_share") * paragraphs("chars")
    if name == "boilerplate_chars":
        return np.where(paragraphs("content_score") < MAIN_CONTENT, paragraphs("chars"), 0.0)
    return paragraphs(name)


def evaluate(scope: Scope, name: str, counts: Counts) -> Any:
    """A signal's value for each row, from counts."""
    return _formula(CATALOGUE[scope][name], counts)


def _formula(signal: Signal, counts: Counts) -> Any:
    count = counts(signal.count)
    if signal.per is None:
        return count
    per = counts(signal.per)
    if signal.name == "perplexity":
        return 10.0 ** (-count / np.maximum(per, 1))
    quotient = np.divide(count, per, out=np.zeros_like(count), where=per != 0)
    return np.where(np.isnan(count) | np.isnan(per), np.nan, quotient)


def match(nodes: Nested, entries: Nested, whole: bool) -> tuple[Integers, Integers]:
    """Pair nodes with the entries (NODE_VERDICTs) that name them: rows of both.

    `whole`: entries without a paragraph name every paragraph of a node; else entries name single
    paragraphs. An image node has no paragraph and is named by the former only.
    """
    parts = entries("paragraph")
    rows = np.flatnonzero(np.isnan(parts) if whole else ~np.isnan(parts))
    if not len(rows) or not len(nodes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    theirs = (entries.document << 24) + entries.integers("index")
    mine = (nodes.document << 24) + nodes.integers("index")
    theirs = theirs[rows]
    if not whole:
        theirs = (theirs << 20) + parts[rows].astype(np.int64)
        mine = (mine << 20) + nodes.integers("paragraph")
    order = np.argsort(theirs, kind="stable")
    place = np.minimum(np.searchsorted(theirs[order], mine), len(theirs) - 1)
    hit = np.flatnonzero(theirs[order][place] == mine)
    return hit, rows[order[place[hit]]]
