"""Histograms of non-negative numbers, filled batch by batch in constant memory."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Linear bins from 0 to 1, then logarithmic ones. They are fine enough to be joined into bars for a
# share (0 to 1) or for orders of magnitude, once the range of the values is known.
EDGES: Floats = np.concatenate([np.linspace(0, 1, 201), np.geomspace(1, 1e12, 601)[1:]])
LINEAR_BINS = 200
MAX_BARS = 40
WHOLE_UNITS = ("count", "px", "bytes")  # their values are whole numbers


@dataclass(frozen=True)
class Bar:
    """Counts of values from `low` to `high`."""

    low: float
    high: float
    kept: int
    dropped: int


@dataclass
class Histogram:
    """Distribution of one number over kept and dropped records."""

    name: str
    unit: str
    meaning: str
    bounds: tuple[float, ...] = ()  # of the rule on this number
    kept: NDArray[np.int64] = field(default_factory=lambda: _zeros())
    dropped: NDArray[np.int64] = field(default_factory=lambda: _zeros())
    unknown: int = 0
    total: float = 0.0
    smallest: float = np.inf
    largest: float = -np.inf

    def add(self, values: Floats, kept: NDArray[np.bool_] | None = None) -> None:
        """Count values; NaN counts as unknown, negative values as 0. `kept` None: all are kept."""
        values = np.asarray(values, np.float64)
        known = ~np.isnan(values)
        self.unknown += int((~known).sum())
        mask = np.ones(len(values), bool) if kept is None else kept
        self.kept += _count(values[known & mask])
        self.dropped += _count(values[known & ~mask])
        if known.any():
            self.total += float(values[known].sum())
            self.smallest = min(self.smallest, float(values[known].min()))
            self.largest = max(self.largest, float(values[known].max()))

    @property
    def number(self) -> int:
        """Number of values counted, without unknown ones."""
        return int(self.kept.sum() + self.dropped.sum())

    @property
    def mean(self) -> float:
        """Mean of the values; NaN when there are none."""
        return self.total / self.number if self.number else float("nan")

    @property
    def constant(self) -> bool:
        """Whether all values are equal, so that there is nothing to draw."""
        return self.smallest == self.largest

    def quantile(self, share: float) -> float:
        """The value that this share of the values lies below, to the width of a bin."""
        counts = np.cumsum(self.kept + self.dropped)
        place = int(np.searchsorted(counts, share * counts[-1]))
        middle = float(EDGES[place] + EDGES[place + 1]) / 2 if place else 0.0
        nearest = round(middle) if self.unit in WHOLE_UNITS and middle > 1 else middle
        return min(max(nearest, self.smallest), self.largest)

    def bars(self) -> list[Bar]:
        """At most `MAX_BARS` bars over the range of the values; 0 to 1 for shares."""
        used = np.flatnonzero(self.kept + self.dropped)
        if not len(used):
            return []
        if used[-1] <= LINEAR_BINS and self.largest <= 1:
            starts = np.arange(0, LINEAR_BINS + 1, LINEAR_BINS // MAX_BARS)
            starts[-1] = LINEAR_BINS + 1  # the value 1 itself lies in the first bin after 1
        else:
            step = -(-(used[-1] + 1 - used[0]) // MAX_BARS)
            starts = np.append(np.arange(used[0], used[-1] + 1, step), used[-1] + 1)
        return [self._bar(int(start), int(end)) for start, end in itertools.pairwise(starts)]

    def _bar(self, start: int, end: int) -> Bar:
        kept, dropped = int(self.kept[start:end].sum()), int(self.dropped[start:end].sum())
        return Bar(float(EDGES[start]), float(EDGES[end]), kept, dropped)


def _zeros() -> NDArray[np.int64]:
    return np.zeros(len(EDGES) - 1, np.int64)


def _count(values: Floats) -> NDArray[np.int64]:
    return np.histogram(np.clip(values, 0, EDGES[-1]), EDGES)[0].astype(np.int64)
