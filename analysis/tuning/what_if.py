"""What-if: which documents, paragraphs or images other thresholds would keep.

A signal table holds the numeric signals of one scope in memory: a row for each document, paragraph
or image, a float32 column for each signal. The verdicts of a rule are stored as one bit per row, so
moving a threshold recomputes the bits of one rule, and counts and overlaps are popcounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters.decide import scope_values
from benben.filters.declaration import Scope
from benben.filters.signal_table import CATALOGUE
from benben.pipeline.settings.signals import Bounds, Rule, RuleSettings

Bits = NDArray[np.uint8]


@dataclass
class SignalTable:
    """Values of the signals of one scope."""

    scope: Scope
    values: dict[str, NDArray[np.float32]]  # by signal; NaN is unknown, and no rule drops it
    languages: list[str]
    language: NDArray[np.int16]  # of each row, as its place in `languages`
    document: NDArray[np.int64]  # of each row, as its place in `ids`
    index: NDArray[np.int32]  # of each row's node in its document; -1 in the scope of documents
    ids: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.language)


@dataclass(frozen=True)
class Effects:
    """What a set of rules does to the rows of a table."""

    rows: int
    kept: int
    dropped: dict[str, int]  # by each rule, no matter what the other rules do
    marginal: dict[str, int]  # by this rule and no other
    overlap: dict[tuple[str, str], int]  # by both rules of a pair
    correlation: dict[tuple[str, str], float]  # phi of the verdicts of a pair


def load(batches: Iterable[pa.RecordBatch], rules: RuleSettings, scope: Scope) -> SignalTable:
    """Load the numeric signals that the rules of a scope use from batches of SIGNALS.

    Values of documents depend on the rules for nodes: load again after changing those. Values are
    in single precision. Documents that extraction rejected have no row.
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
        numbers = np.array([codes.setdefault(one, len(codes)) for one in found.languages], np.int16)
        parts.append(
            (numbers[found.language], found.document + len(ids), found.index.astype(np.int32))
        )
        ids += batch.column("doc_id").to_pylist()
    language, document, index = (np.concatenate(one) for one in zip(*parts, strict=True))
    values = {name: np.concatenate(column) for name, column in columns.items()}
    return SignalTable(scope, values, list(codes), language, document, index, ids)


class WhatIf:
    """Counts the effects of rules on a signal table; keeps the last verdicts of each rule."""

    def __init__(self, table: SignalTable) -> None:
        self.table = table
        self._known: dict[str, tuple[Rule, Bits]] = {}

    def effects(self, rules: Mapping[str, Rule]) -> Effects:
        """Count what the rules drop: each, alone, in pairs and together."""
        names = [name for name in rules if name in self.table.values]
        bits = [self._failing(name, rules[name]) for name in names]
        rows = len(self.table)
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
        return Effects(rows, rows - _count(once), dropped, marginal, overlap, correlation)

    def kept(self, rules: Mapping[str, Rule]) -> NDArray[np.bool_]:
        """Mask of the rows that no rule drops."""
        dropped = np.zeros((len(self.table) + 7) // 8, np.uint8)
        for name, rule in rules.items():
            if name in self.table.values:
                dropped |= self._failing(name, rule)
        return np.asarray(np.unpackbits(dropped, count=len(self.table)) == 0)

    def _failing(self, name: str, rule: Rule) -> Bits:
        """One bit per row, set where the rule drops it."""
        known = self._known.get(name)
        if known is None or known[0] != rule:
            self._known[name] = rule, np.packbits(fails(self.table, name, rule))
        return self._known[name][1]


def fails(table: SignalTable, name: str, rule: Rule) -> NDArray[np.bool_]:
    """Mask of the rows whose value lies outside a rule's bounds for their language."""
    failing = _outside(table.values[name], rule)
    for language, bounds in rule.languages.items():
        if language in table.languages:
            rows = np.flatnonzero(table.language == table.languages.index(language))
            failing[rows] = _outside(table.values[name][rows], bounds)
    for other, bounds in rule.when.items():
        if other in table.values:
            failing &= ~_outside(table.values[other], bounds)
    return failing


def phi(left: int, right: int, both: int, rows: int) -> float:
    """Phi coefficient of two rules: Pearson's correlation of their verdicts, from counts.

    0 when a rule drops all rows or none.
    """
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
    """Bits of the rows that at least one rule drops, and of those that several drop."""
    once = np.zeros((rows + 7) // 8, np.uint8)
    more = np.zeros_like(once)
    for mask in bits:
        more |= once & mask
        once |= mask
    return once, more


def _count(bits: Bits) -> int:
    return int(np.bitwise_count(bits).sum())
