"""Histograms of any non-negative number, gathered batch by batch, in fixed memory."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Fine enough to be drawn as a share (0..1) or by orders of magnitude once the range is known.
EDGES: Floats = np.concatenate([np.linspace(0, 1, 201), np.geomspace(1, 1e12, 601)[1:]])
LINEAR = 200  # bins up to 1
BARS = 40
WHOLE = ("count", "px", "bytes")  # units of whole numbers


@dataclass(frozen=True)
class Bar:
    """Counts between two values."""

    low: float
    high: float
    kept: int
    dropped: int


@dataclass
class Histogram:
    """Counts of a number's values, of kept and of dropped records."""

    name: str
    unit: str
    meaning: str
    bounds: tuple[float, ...] = ()  # of the rule on it
    kept: NDArray[np.int64] = field(default_factory=lambda: _zeros())
    dropped: NDArray[np.int64] = field(default_factory=lambda: _zeros())
    unknown: int = 0
    total: float = 0.0
    least: float = np.inf
    most: float = -np.inf

    def add(self, values: Floats, kept: NDArray[np.bool_] | None = None) -> None:
        """Count values; NaN counts as unknown, values below 0 as 0."""
        values = np.asarray(values, np.float64)
        known = ~np.isnan(values)
        self.unknown += int((~known).sum())
        mask = np.ones(len(values), bool) if kept is None else kept
        self.kept += _count(values[known & mask])
        self.dropped += _count(values[known & ~mask])
        if known.any():
            self.total += float(values[known].sum())
            self.least = min(self.least, float(values[known].min()))
            self.most = max(self.most, float(values[known].max()))

    @property
    def number(self) -> int:
        """Values counted."""
        return int(self.kept.sum() + self.dropped.sum())

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return self.total / self.number if self.number else float("nan")

    @property
    def constant(self) -> bool:
        """All values are the same: nothing to draw."""
        return self.least == self.most

    def quantile(self, share: float) -> float:
        """Value below which that share lies, to the width of a bin."""
        counts = np.cumsum(self.kept + self.dropped)
        place = int(np.searchsorted(counts, share * counts[-1]))
        middle = float(EDGES[place] + EDGES[place + 1]) / 2 if place else 0.0
        nearest = round(middle) if self.unit in WHOLE and middle > 1 else middle
        return min(max(nearest, self.least), self.most)

    def bars(self) -> list[Bar]:
        """At most `BARS` bars over the range that has values."""
        used = np.flatnonzero(self.kept + self.dropped)
        if not len(used):
            return []
        if used[-1] <= LINEAR and self.most <= 1:  # the last linear bin's end belongs to 1 itself
            starts = np.arange(0, LINEAR + 1, LINEAR // BARS)
            starts[-1] = LINEAR + 1
        else:
            step = -(-(used[-1] + 1 - used[0]) // BARS)
            starts = np.append(np.arange(used[0], used[-1] + 1, step), used[-1] + 1)
        return [self._bar(int(start), int(end)) for start, end in itertools.pairwise(starts)]

    def _bar(self, start: int, end: int) -> Bar:
        kept, dropped = int(self.kept[start:end].sum()), int(self.dropped[start:end].sum())
        return Bar(float(EDGES[start]), float(EDGES[end]), kept, dropped)


def _zeros() -> NDArray[np.int64]:
    return np.zeros(len(EDGES) - 1, np.int64)


def _count(values: Floats) -> NDArray[np.int64]:
    return np.histogram(np.clip(values, 0, EDGES[-1]), EDGES)[0].astype(np.int64)
