"""How signatures are cut into bands: pairs that share one are compared."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Number = TypeVar("Number", float, npt.NDArray[np.float64])


def candidate_probability(jaccard: Number, bands: int, rows: int) -> Number:
    """Probability that a pair shares at least one band key: 1 - (1 - s^rows)^bands."""
    return 1 - (1 - jaccard**rows) ** bands


@lru_cache
def best_bands(threshold: float, slots: int, weights: tuple[float, float]) -> tuple[int, int]:
    """Return the bands and rows, of at most `slots` slots, that err least about a threshold.

    The error is the chance to share a band, summed over the similarities below the threshold, and
    the chance to share none, summed over those above; `weights` are of these two. This is the
    choice of datasketch's MinHashLSH (Zhu, Nargesian, Pu, Miller, "LSH Ensemble", VLDB 2016,
    section 5.4). Of equal choices the one with fewer bands, then fewer rows, is taken.
    """
    nodes, shares = np.polynomial.legendre.leggauss(slots // 2 + 1)  # exact for these polynomials
    below, above = threshold * (nodes + 1) / 2, threshold + (1 - threshold) * (nodes + 1) / 2
    found, least = (1, 1), float("inf")
    for bands in range(1, slots + 1):
        for rows in range(1, slots // bands + 1):
            false = candidate_probability(below, bands, rows) @ shares * threshold / 2
            missed = (1 - candidate_probability(above, bands, rows)) @ shares
            error = weights[0] * false + weights[1] * missed * (1 - threshold) / 2
            if error < least:
                found, least = (bands, rows), float(error)
    return found
