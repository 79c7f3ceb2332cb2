"""Signals as a sheet of numbers, and what-if: which rows other thresholds would keep.

A sheet has a row for each document, paragraph or image, and a float32 column for each signal of
its scope. A rule's verdict on all rows is one bit a row, kept between questions: moving one
threshold recomputes one column, and counts and overlaps are popcounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters.decide import scope_values
from benben.filters.signal import CATALOGUE, Scope
from benben.pipeline.settings.signals import Bounds, Rule, RuleSettings

Bits = NDArray[np.uint8]


@dataclass
class Sheet:
    """Signal values of the rows of one scope."""

    scope: Scope
    values: dict[str, NDArray[np.float32]]  # NaN: unknown, which no rule drops
    languages: list[str]
    language: NDArray[np.int16]  # of each row, in `languages`
    document: NDArray[np.int64]  # number of the document, in `ids`
    index: NDArray[np.int32]  # of the node in its document; -1 for documents
    ids: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.language)


@dataclass(frozen=True)
class WhatIf:
    """What a set of rules does to a sheet's rows."""

    rows: int
    kept: int
    dropped: dict[str, int]  # by each rule, whatever the others do
    marginal: dict[str, int]  # by this rule alone
    overlap: dict[tuple[str, str], int]  # by both of two rules
    correlation: dict[tuple[str, str], float]  # phi coefficient of two rules' verdicts


def load(batches: Iterable[pa.RecordBatch], rules: RuleSettings, scope: Scope) -> Sheet:
    """Make a sheet of batches of SIGNALS for the numeric signals that the scope's rules name.

    A document's values hold for the node rules given: after changing those, load again. Values are
    single precision. Documents that extraction gave up have no row.
    """
    names = [name for name in getattr(rules, scope) if not CATALOGUE[scope][name].names]
    columns: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    codes: dict[str, int] = {}
    parts: list[tuple[NDArray[np.int16], NDArray[np.int64], NDArray[np.int32]]] = []
    ids: list[str] = []
    for batch in (one.filter(one.column("reason").is_null()) for one in batches):
        found = scope_values(batch, rules, scope, names)
        for name in names:
            columns[name].append(found.values[name].astype(np.float32))
        table = np.array([codes.setdefault(one, len(codes)) for one in found.languages], np.int16)
        parts.append(
            (table[found.language], found.document + len(ids), found.index.astype(np.int32))
        )
        ids += batch.column("doc_id").to_pylist()
    language, document, index = (np.concatenate(one) for one in zip(*parts, strict=True))
    values = {name: np.concatenate(column) for name, column in columns.items()}
    return Sheet(scope, values, list(codes), language, document, index, ids)


class Questions:
    """Answers what-if questions about a sheet; remembers each rule's last verdict."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self._known: dict[str, tuple[Rule, Bits]] = {}

    def ask(self, rules: Mapping[str, Rule]) -> WhatIf:
        """Count what the rules drop, each alone and together."""
        names = [name for name in rules if name in self.sheet.values]
        bits = [self.failing(name, rules[name]) for name in names]
        rows = len(self.sheet)
        dropped = {name: _count(mask) for name, mask in zip(names, bits, strict=True)}
        once, more = _once_and_more(bits, rows)
        alone = once & ~more
        marginal = {name: _count(mask & alone) for name, mask in zip(names, bits, strict=True)}
        overlap, correlation = {}, {}
        for place, left in enumerate(names):
            for other, right in enumerate(names[:place]):
                shared = _count(bits[place] & bits[other])
                overlap[right, left] = shared
                correlation[right, left] = phi(dropped[right], dropped[left], shared, rows)
        return WhatIf(rows, rows - _count(once), dropped, marginal, overlap, correlation)

    def failing(self, name: str, rule: Rule) -> Bits:
        """One bit a row: the rule drops it."""
        known = self._known.get(name)
        if known is None or known[0] != rule:
            self._known[name] = rule, np.packbits(fails(self.sheet, name, rule))
        return self._known[name][1]

    def kept(self, rules: Mapping[str, Rule]) -> NDArray[np.bool_]:
        """Rows that no rule drops."""
        gone = np.zeros((len(self.sheet) + 7) // 8, np.uint8)
        for name, rule in rules.items():
            if name in self.sheet.values:
                gone |= self.failing(name, rule)
        return np.asarray(np.unpackbits(gone, count=len(self.sheet)) == 0)


def fails(sheet: Sheet, name: str, rule: Rule) -> NDArray[np.bool_]:
    """Rows whose value is outside a rule's bounds for their language."""
    failing = _outside(sheet.values[name], rule)
    for language, bounds in rule.languages.items():
        if language in sheet.languages:
            rows = np.flatnonzero(sheet.language == sheet.languages.index(language))
            failing[rows] = _outside(sheet.values[name][rows], bounds)
    for other, bounds in rule.when.items():
        if other in sheet.values:
            failing &= ~_outside(sheet.values[other], bounds)
    return failing


def phi(left: int, right: int, both: int, rows: int) -> float:
    """Phi coefficient (Pearson's correlation) of two verdicts from their counts."""
    spread = float(left) * (rows - left) * float(right) * (rows - right)
    return (rows * float(both) - float(left) * right) / spread**0.5 if spread > 0 else 0.0


def _outside(values: NDArray[np.float32], bounds: Bounds) -> NDArray[np.bool_]:
    failing = np.zeros(len(values), np.bool_)
    if bounds.min is not None:
        failing |= values < np.float32(bounds.min)
    if bounds.max is not None:
        failing |= values > np.float32(bounds.max)
    if bounds.below is not None:
        failing |= values >= np.float32(bounds.below)
    return failing


def _once_and_more(bits: list[Bits], rows: int) -> tuple[Bits, Bits]:
    once = np.zeros((rows + 7) // 8, np.uint8)
    more = np.zeros_like(once)
    for mask in bits:
        more |= once & mask
        once |= mask
    return once, more


def _count(bits: Bits) -> int:
    return int(np.bitwise_count(bits).sum())
