"""How far two runs' records have moved apart, signal by signal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from benben.analysis.report.distribution import Distributions
from benben.analysis.report.histogram import Histogram


@dataclass(frozen=True)
class Shift:
    """One signal in two runs."""

    group: str
    name: str
    distance: float  # 0 the same .. 1 nothing in common
    before: float | None = None  # means, for numbers
    after: float | None = None


def compare(before: Distributions, after: Distributions) -> list[Shift]:
    """Signals and names that both runs have, the most shifted first."""
    shifts = []
    for group, histograms in before.groups.items():
        others = {other.name: other for other in after.groups.get(group, [])}
        for one in histograms:
            other = others.get(one.name)
            if other is not None and one.number and other.number:
                distance = kolmogorov(one, other)
                shifts.append(Shift(group, one.name, distance, one.mean, other.mean))
    for name, counts in before.names.items():
        if name in after.names:
            shifts.append(Shift("names", name, total_variation(counts, after.names[name])))
    return sorted(shifts, key=lambda shift: (-shift.distance, shift.group, shift.name))


def kolmogorov(one: Histogram, other: Histogram) -> float:
    """Largest gap between the two cumulative distributions (Kolmogorov-Smirnov), by bins."""
    left, right = (np.cumsum(each.kept + each.dropped) / each.number for each in (one, other))
    return float(np.abs(left - right).max())


def total_variation(one: Counter[str], other: Counter[str]) -> float:
    """Half the summed difference of the shares of each name."""
    names = one.keys() | other.keys()
    left, right = one.total(), other.total()
    return sum(abs(one[name] / left - other[name] / right) for name in names) / 2
