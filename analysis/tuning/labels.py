"""Labels against rules: precision, recall and F1 of what is dropped, with bootstrap intervals.

A row labelled True should be kept, False dropped. Positive is a row that is dropped: precision is
the share of bad rows among those dropped, recall the share of the bad rows that are dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benben.analysis.tuning.what_if import Questions, Sheet, fails
from benben.pipeline import storage
from benben.pipeline.settings.signals import Bounds, Rule

RESAMPLES = 2_000
LEVEL = 0.95
Mask = NDArray[np.bool_]
End = Literal["min", "max", "below"]  # of a rule's bounds
Key = tuple[str, int]  # document id, node index (-1: the document)


@dataclass(frozen=True)
class Estimate:
    """A value and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """How well dropped rows match those labelled bad."""

    labelled: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Proposal:
    """A threshold, and what it does to the labelled rows."""

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
    """Read labels; none when there is no such file."""
    if not storage.exists(path):
        return {}
    rows = [json.loads(line) for line in storage.read_bytes(path).decode().splitlines()]
    return {(row["doc_id"], row["index"]): row["keep"] for row in rows}


def align(sheet: Sheet, labels: Mapping[Key, bool]) -> tuple[NDArray[np.int64], Mask]:
    """Rows of a sheet that are labelled, and whether each should be kept."""
    wanted = {doc_id for doc_id, _ in labels}
    numbers = np.array([n for n, doc_id in enumerate(sheet.ids) if doc_id in wanted], np.int64)
    found = [
        (row, labels[key])
        for row in np.flatnonzero(np.isin(sheet.document, numbers)).tolist()
        if (key := (sheet.ids[sheet.document[row]], int(sheet.index[row]))) in labels
    ]
    rows = np.array([row for row, _ in found], np.int64)
    return rows, np.array([keep for _, keep in found], np.bool_)


def evaluate(
    sheet: Sheet, rules: Mapping[str, Rule], labels: Mapping[Key, bool], seed: int = 0
) -> dict[str, Scores]:
    """Scores of each rule and, under the name `chain`, of all together."""
    rows, keep = align(sheet, labels)
    found = {
        name: score(fails(sheet, name, rule)[rows], ~keep, seed)
        for name, rule in rules.items()
        if name in sheet.values
    }
    chain = ~Questions(sheet).kept(rules)[rows]
    return {**found, "chain": score(chain, ~keep, seed)}


def score(dropped: Mask, bad: Mask, seed: int = 0, resamples: int = RESAMPLES) -> Scores:
    """Precision, recall and F1 with percentile bootstrap intervals (Efron 1979).

    Resampling rows only changes how many fall into each of the four cells of the confusion table,
    so the cells are drawn at once, from the multinomial distribution.
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
    """Best bound on a signal for labelled rows: rows below `min` or above `max` are dropped.

    With a wanted precision, the bound of the most recall that has it; with a wanted recall, that
    of the most precision; with neither, of the best F1. Of equals the loosest. Bounds lie halfway
    between neighbouring values. None when no bound does what is wanted.
    """
    known = ~np.isnan(values)
    ordered = np.argsort(values[known] if end == "min" else -values[known], kind="stable")
    value, bad = values[known][ordered], ~keep[known][ordered]
    cut = np.flatnonzero(np.diff(value) != 0) + 1  # rows dropped by each possible bound
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
    best = int(np.argmax(np.where(allowed, goal, -1.0)))  # the first is the loosest
    bound = float(value[cut[best] - 1] + value[cut[best]]) / 2
    return Proposal(bound, float(precisions[best]), float(recalls[best]), float(f1[best]))


def with_bound(rule: Rule, end: End, bound: float) -> Rule:
    """A rule with another bound, which stops at the bound of the other end."""
    if end == "min" and rule.max is not None:
        bound = min(bound, rule.max)
    if end != "min" and rule.min is not None:
        bound = max(bound, rule.min)
    changed = {**rule.model_dump(exclude_none=True), end: round(bound, 6)}
    return Rule.model_validate(changed)


def bounds_of(rule: Bounds) -> dict[End, float]:
    """The numeric bounds a rule has."""
    ends: dict[End, float | None] = {"min": rule.min, "max": rule.max, "below": rule.below}
    return {end: bound for end, bound in ends.items() if bound is not None}


def _measures(cells: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    hit, false, missed = (cells[:, place].astype(np.float64) for place in range(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return hit / (hit + false), hit / (hit + missed), 2 * hit / (2 * hit + false + missed)
