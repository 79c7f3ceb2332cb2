"""Score rules against labels: precision, recall and F1 with bootstrap intervals; propose bounds.

A label says whether a row should be kept (True) or dropped (False, a bad row). Dropping counts as
the positive class: precision is the share of bad rows among the dropped rows, recall the share of
dropped rows among the bad ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from benben.analysis.tuning.what_if import SignalTable, WhatIf, fails
from benben.common.text import lines
from benben.pipeline import storage
from benben.pipeline.settings.signals import UNGROUPED, Bounds, Group, Rule

RESAMPLES = 2_000  # of the bootstrap
LEVEL = 0.95  # of the intervals
Mask = NDArray[np.bool_]
End = Literal["min", "max", "below"]  # which bound of a rule
ENDS: tuple[End, ...] = get_args(End)
Key = tuple[str, int]  # document id, and node index (-1 for the document itself)


@dataclass(frozen=True)
class Estimate:
    """A value and its interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """How well the dropped rows agree with the labels."""

    labelled: int  # rows with a label
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Proposal:
    """A proposed bound, and its scores on the labelled rows."""

    bound: float
    precision: float
    recall: float
    f1: float


def save(path: str, labels: Mapping[Key, bool]) -> None:
    """Write labels as JSON lines."""
    lines = [
        json.dumps({"doc_id": doc_id, "index": index, "keep": keep})
        for (doc_id, index), keep in sorted(labels.items())
    ]
    storage.write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def read(path: str) -> dict[Key, bool]:
    """Read labels; an empty mapping when there is no such file."""
    if not storage.exists(path):
        return {}
    rows = [json.loads(line) for line in lines(storage.read_bytes(path))]
    return {(row["doc_id"], row["index"]): row["keep"] for row in rows}


def align(table: SignalTable, labels: Mapping[Key, bool]) -> tuple[NDArray[np.int64], Mask]:
    """Numbers of the table's rows that have a label, and whether each should be kept."""
    wanted = {doc_id for doc_id, _ in labels}
    numbers = np.array([n for n, doc_id in enumerate(table.ids) if doc_id in wanted], np.int64)
    found = [
        (row, labels[key])
        for row in np.flatnonzero(np.isin(table.document, numbers)).tolist()
        if (key := (table.ids[table.document[row]], int(table.index[row]))) in labels
    ]
    rows = np.array([row for row, _ in found], np.int64)
    return rows, np.array([keep for _, keep in found], np.bool_)


def evaluate(
    table: SignalTable, rules: Mapping[str, Rule], labels: Mapping[Key, bool], seed: int = 0
) -> dict[str, Scores]:
    """Scores of each rule and, under the name `chain`, of all rules together."""
    rows, keep = align(table, labels)
    found = {
        name: score(fails(table, name, rule)[rows], ~keep, seed)
        for name, rule in rules.items()
        if name in table
    }
    chain = ~WhatIf(table).kept(rules)[rows]
    return {**found, "chain": score(chain, ~keep, seed)}


def score(dropped: Mask, bad: Mask, seed: int = 0, resamples: int = RESAMPLES) -> Scores:
    """Precision, recall and F1 with percentile bootstrap intervals (Efron 1979).

    Resampling the rows changes only the four counts of the confusion matrix, so these counts are
    drawn directly from a multinomial distribution.
    """
    cells = np.array([(dropped & bad).sum(), (dropped & ~bad).sum(), (~dropped & bad).sum(),
                      (~dropped & ~bad).sum()])  # fmt: skip
    labelled = int(cells.sum())
    if not labelled:
        nothing = Estimate(np.nan, np.nan, np.nan)
        return Scores(0, nothing, nothing, nothing)
    draws = np.random.default_rng(seed).multinomial(labelled, cells / labelled, resamples)
    tail = (1 - LEVEL) / 2
    estimates = []
    for value, sample in zip(_measures(cells[None]), _measures(draws), strict=True):
        known = sample[~np.isnan(sample)]
        low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
        estimates.append(Estimate(float(value[0]), float(low), float(high)))
    return Scores(labelled, *estimates)


def propose(
    values: NDArray[np.floating],
    keep: Mask,
    end: Literal["min", "max"],
    precision: float | None = None,
    recall: float | None = None,
) -> Proposal | None:
    """The best bound on a signal for labelled rows; it drops rows below `min` or above `max`.

    With a required precision, the bound with the highest recall among those that reach it; with a
    required recall, the one with the highest precision; with neither, the one with the best F1. Of
    equally good bounds it takes the one that drops fewest rows. Bounds lie halfway between
    neighbouring values. None when no bound meets the requirement.
    """
    known = ~np.isnan(values)
    ordered = np.argsort(values[known] if end == "min" else -values[known], kind="stable")
    value, bad = values[known][ordered], ~keep[known][ordered]
    cut = np.flatnonzero(np.diff(value) != 0) + 1  # number of rows that each possible bound drops
    if not len(cut) or not bad.any():
        return None
    hits = np.cumsum(bad)[cut - 1]
    precisions, recalls = hits / cut, hits / bad.sum()
    f1 = 2 * hits / (cut + bad.sum())
    goal, allowed = f1, np.ones(len(cut), np.bool_)
    if precision is not None:
        goal, allowed = recalls, precisions >= precision
    if recall is not None:
        goal, allowed = precisions, allowed & (recalls >= recall)
    if not allowed.any():
        return None
    best = int(np.argmax(np.where(allowed, goal, -1.0)))  # the first drops fewest rows
    bound = float(value[cut[best] - 1] + value[cut[best]]) / 2
    return Proposal(bound, float(precisions[best]), float(recalls[best]), float(f1[best]))


def with_bound(rule: Rule, end: End, bound: float | None, group: Group = UNGROUPED) -> Rule:
    """The rule with one bound changed or, by None, taken away.

    A `min` above `max` or the reverse is moved to the other. `group`: the bounds of one alone,
    which start as those of all others.
    """
    return rule.with_group(group, Bounds.model_validate(_changed(rule.of_group(group), end, bound)))


def _changed(bounds: Bounds, end: End, bound: float | None) -> dict[str, object]:
    if bound is not None:
        if end == "min" and bounds.max is not None:
            bound = min(bound, bounds.max)
        if end != "min" and bounds.min is not None:
            bound = max(bound, bounds.min)
    stated = bounds.model_dump(include=set(Bounds.model_fields), exclude_none=True)
    found = {**stated, end: bound}
    return {name: value for name, value in found.items() if value is not None}


def bounds_of(rule: Bounds) -> dict[End, float]:
    """The bounds that a rule has."""
    ends: dict[End, float | None] = {"min": rule.min, "max": rule.max, "below": rule.below}
    return {end: bound for end, bound in ends.items() if bound is not None}


def _measures(cells: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Precision, recall and F1; columns: true and false positives, false and true negatives."""
    hit, false, missed = (cells[:, place].astype(np.float64) for place in range(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return hit / (hit + false), hit / (hit + missed), 2 * hit / (2 * hit + false + missed)
