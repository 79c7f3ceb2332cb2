"""Histograms of signals: bars of equal width on the screen, with kept and dropped rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benben.analysis.report.histogram import WHOLE_UNITS
from benben.analysis.tuning.replay import Replay
from benben.filters.declaration import Scope
from benben.filters.signal_table import CATALOGUE

BARS = 48
SKEWED = 10  # times the median that the largest value is, from which the scale is logarithmic
Mask = NDArray[np.bool_]


@dataclass
class _Binned:
    edges: NDArray[np.float64]
    codes: NDArray[np.uint8]  # of each row: its bar; BARS + 1: unknown
    version: int


class Histograms:
    """Counts values in bars; the edges stay as they were first, so that charts do not jump."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self._known: dict[tuple[Scope, str, bool], _Binned] = {}

    def of(self, scope: Scope, name: str, scale: str, rows: Mask | None) -> dict[str, Any]:
        """Edges of the bars, rows that are kept and dropped in each, and rows without a value.

        `scale`: log, linear or, by default, what shows most; `rows`: those to count.
        """
        values = self.replay.tables[scope].values[name]
        log = scale == "log" or (scale != "linear" and is_skewed(scope, name, values))
        binned = self._binned(scope, name, values, log)
        kept = self.replay.kept[scope]
        number = len(binned.edges) - 1
        both = binned.codes + (kept.view(np.uint8) << 6)  # codes are below 64
        dropped, inside = np.bincount(both if rows is None else both[rows], minlength=128).reshape(
            2, 64
        )
        return {
            "edges": binned.edges.tolist(),
            "kept": inside[:number].tolist(),
            "dropped": dropped[:number].tolist(),
            "unknown": int(inside[BARS + 1] + dropped[BARS + 1]),
            "log": log,
            "whole": CATALOGUE[scope][name].unit in WHOLE_UNITS,
        }

    def _binned(self, scope: Scope, name: str, values: Any, log: bool) -> _Binned:
        found = self._known.get((scope, name, log))
        version = self.replay.versions[scope, name]
        if found is None or found.version != version:
            whole = CATALOGUE[scope][name].unit in WHOLE_UNITS
            edges = bars(values, log, whole) if found is None else found.edges
            found = _Binned(edges, _codes(values, edges), version)
            self._known[scope, name, log] = found
        return found


def is_skewed(scope: Scope, name: str, values: Any) -> bool:
    """Whether a few values are so large that a linear scale would hide all others."""
    if CATALOGUE[scope][name].unit in ("ratio", "share") or not len(values):
        return False
    known = values[~np.isnan(values)]
    return bool(len(known)) and bool(known.min() >= 0) and bool(
        known.max() > SKEWED * max(1.0, float(np.median(known)))
    )  # fmt: skip


def bars(values: Any, log: bool, whole: bool) -> NDArray[np.float64]:
    """Edges of at most BARS bars over the range of the values."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.array([0.0, 1.0])
    low, high = float(known.min()), float(known.max())
    if 0 <= low < high / 20:
        low = 0.0  # nearly: the axis begins at nothing
    if whole and high - low < BARS:
        return np.arange(np.floor(low), np.floor(high) + 2)
    if low == high:
        return np.array([low, low + max(1.0, abs(low))])
    if log and low >= 0:
        positive = known[known > 0]
        edges = np.geomspace(float(positive.min()), high + whole, BARS)
        edges = np.unique(np.round(edges)) if whole else edges
        return np.append(0.0, edges) if low < edges[0] else edges
    if whole:
        return np.unique(np.round(np.linspace(low, high + 1, BARS + 1)))
    return np.linspace(low, high, BARS + 1)


def _codes(values: Any, edges: NDArray[np.float64]) -> NDArray[np.uint8]:
    last = len(edges) - 2
    codes = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, last).astype(np.uint8)
    codes[np.isnan(values)] = BARS + 1
    return codes
