"""What-if: which documents, paragraphs or images other thresholds would keep.

A signal table holds what the rules of one scope judge: a row for each document, paragraph or image,
a column of numbers for each signal (32 bits where these hold them exactly). The verdicts of a rule
are stored as one bit per row, so moving a threshold recomputes the bits of one rule, and counts and
overlaps are popcounts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benben.filters.declaration import Scope
from benben.pipeline.settings.signals import LANGUAGE, Bounds, Group, Rule

Bits = NDArray[np.uint8]
EVERY = slice(None)  # row


@dataclass
class SignalTable:
    """What the rules of one scope judge: a row for each document, paragraph or image."""

    scope: Scope
    values: dict[str, NDArray[np.floating]]  # by signal; NaN is unknown, and no rule drops it
    languages: list[str]
    language: NDArray[np.int16]  # of each row, as its place in `languages`
    document: NDArray[np.int64]  # of each row, as its place in `ids`
    index: NDArray[np.int32]  # of each row's node in its document; -1 in the scope of documents
    ids: list[str] = field(default_factory=list)
    # What rows are grouped by, besides the language: names, and each row's place in them or -1.
    groupings: dict[str, tuple[list[str], NDArray[np.int16]]] = field(default_factory=dict)
    # Rows that meet a rule's conditions; all of them for a rule that is not named.
    applies: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    refused: dict[str, NDArray[np.bool_]] = field(default_factory=dict)  # by a rule on names
    # Ends that are not judged before images are fetched, since the value may still change.
    pending: dict[str, frozenset[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.language)

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.refused

    def of_group(
        self, group: Group, rows: NDArray[np.int64] | slice = EVERY
    ) -> NDArray[np.bool_] | None:
        """Mask of the rows of a group; None: there are none."""
        by, name = group
        names, code = self.groupings.get(by, ([], self.language))
        if by == LANGUAGE:
            names, code = self.languages, self.language
        return code[rows] == names.index(name) if name in names else None


@dataclass(frozen=True)
class Effects:
    """What a set of rules does to the rows of a table."""

    rows: int
    kept: int
    dropped: dict[str, int]  # by each rule, no matter what the other rules do
    marginal: dict[str, int]  # by this rule and no other
    overlap: dict[tuple[str, str], int]  # by both rules of a pair
    correlation: dict[tuple[str, str], float]  # phi of the verdicts of a pair


class WhatIf:
    """Counts the effects of rules on a signal table; keeps the last verdicts of each rule."""

    def __init__(self, table: SignalTable) -> None:
        self.table = table
        self._known: dict[str, tuple[Rule, NDArray[np.bool_], Bits]] = {}

    def effects(
        self, rules: Mapping[str, Rule], rows: Bits | None = None, pairs: bool = True
    ) -> Effects:
        """Count what the rules drop: each, alone, in pairs and together.

        `rows`: bits of the rows to count, None for all. Without `pairs`, pairs are not counted.
        """
        names = [name for name in rules if name in self.table]
        bits = [self.failing(name, rules[name]) for name in names]
        if rows is not None:
            bits = [mask & rows for mask in bits]
        return _effects(names, bits, len(self.table) if rows is None else count(rows), pairs)

    def failing(self, name: str, rule: Rule) -> Bits:
        """One bit per row, set where the rule drops it."""
        known = self._known.get(name)
        if known is None or known[0] != rule:
            mask = fails(self.table, name, rule)
            self._known[name] = rule, mask, np.packbits(mask)
        return self._known[name][2]

    def dropped(self, rules: Mapping[str, Rule], without: Sequence[str] = ()) -> Bits:
        """One bit per row, set where some rule drops it."""
        found = np.zeros((len(self.table) + 7) // 8, np.uint8)
        for name, rule in rules.items():
            if name in self.table and name not in without:
                found |= self.failing(name, rule)
        return found

    def kept(self, rules: Mapping[str, Rule]) -> NDArray[np.bool_]:
        """Mask of the rows that no rule drops."""
        found = self.dropped(rules)
        return np.asarray(np.unpackbits(found, count=len(self.table)) == 0)

    def renew(self, name: str, rows: NDArray[np.int64]) -> None:
        """Judge some rows by a rule again: the table's values for it have changed there."""
        known = self._known.get(name)
        if known is not None:
            rule, mask, _ = known
            mask[rows] = fails(self.table, name, rule, rows)
            self._known[name] = rule, mask, np.packbits(mask)


def _effects(names: list[str], bits: list[Bits], rows: int, pairs: bool) -> Effects:
    dropped = {name: count(mask) for name, mask in zip(names, bits, strict=True)}
    once, more = _once_and_more(bits)
    alone = once & ~more
    marginal = {name: count(mask & alone) for name, mask in zip(names, bits, strict=True)}
    overlap, correlation = {}, {}
    for place, left in enumerate(names if pairs else []):
        for other, right in enumerate(names[:place]):
            shared = count(bits[place] & bits[other])
            overlap[right, left] = shared
            correlation[right, left] = phi(dropped[right], dropped[left], shared, rows)
    return Effects(rows, rows - count(once), dropped, marginal, overlap, correlation)


def fails(
    table: SignalTable, name: str, rule: Rule, rows: NDArray[np.int64] | slice = EVERY
) -> NDArray[np.bool_]:
    """Mask of the rows that a rule drops, as a decision does: exactly, whatever the precision."""
    if name in table.refused:
        return table.refused[name][rows].copy()
    pending = table.pending.get(name, frozenset())
    values = table.values[name][rows]
    failing = _outside(values, rule, pending)
    for group, bounds in reversed(rule.groups().items()):  # the first group of a row holds
        mine = table.of_group(group, rows)
        if mine is not None:
            np.copyto(failing, _outside(values, bounds, pending), where=mine)
    if name in table.applies:
        failing &= table.applies[name][rows]
    return failing


def phi(left: int, right: int, both: int, rows: int) -> float:
    """Phi coefficient of two rules: Pearson's correlation of their verdicts, from counts.

    0 when a rule drops all rows or none.
    """
    spread = float(left) * (rows - left) * float(right) * (rows - right)
    return (rows * float(both) - float(left) * right) / spread**0.5 if spread > 0 else 0.0


def _outside(
    values: NDArray[np.floating], bounds: Bounds, pending: frozenset[str]
) -> NDArray[np.bool_]:
    failing = np.zeros(len(values), np.bool_)
    if bounds.min is not None and "min" not in pending:
        failing |= values < _as_wide(values, bounds.min, up=True)
    if bounds.max is not None and "max" not in pending:
        failing |= values > _as_wide(values, bounds.max, up=False)
    if bounds.below is not None and "below" not in pending:
        failing |= values >= _as_wide(values, bounds.below, up=True)
    return failing


def _as_wide(values: NDArray[np.floating], bound: float, up: bool) -> np.floating[Any]:
    """The bound as a number of the values' width that divides them as the bound itself does.

    The nearest one not below the bound (`up`) or not above it: no value lies between the two.
    """
    if values.dtype == np.float64:
        return np.float64(bound)
    near = np.float32(bound)
    if up and float(near) < bound:
        return np.nextafter(near, np.float32(np.inf))
    if not up and float(near) > bound:
        return np.nextafter(near, np.float32(-np.inf))
    return near


def _once_and_more(bits: list[Bits]) -> tuple[Any, Any]:
    """Bits of the rows that at least one rule drops, and of those that several drop."""
    once: Any = np.zeros(1, np.uint8)
    more: Any = np.zeros(1, np.uint8)
    for mask in bits:
        more = more | (once & mask)
        once = once | mask
    return once, more


def count(bits: Bits) -> int:
    """Number of bits that are set."""
    return int(np.bitwise_count(bits).sum())
