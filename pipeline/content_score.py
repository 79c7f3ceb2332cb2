"""How likely each block is main content: a small network over named features.

The weights are data (content_score.npz), made by benchmarks/train_content_score.py from pages whose
main text people marked. Scores are set so that one half is the page's own best cut: the selection
with the highest expected F1 (Lewis 1995, "Evaluating and optimizing autonomous text classification
systems"), so a gallery of short texts and a long article are both cut where they should be.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.content_features import FEATURES, Floats, features
from pipeline.walk import Walk

WEIGHTS = Path(__file__).parent / "content_score.npz"
_CUT_FLOOR, _CUT_CEILING = 0.02, 0.9  # a page's cut stays within


class ContentModel:
    """A feed-forward network with rectified hidden layers; inputs need no scaling."""

    def __init__(self, layers: list[tuple[Floats, Floats]], cut_factor: float) -> None:
        self.layers = layers
        self.cut_factor = cut_factor

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> ContentModel:
        """Read weights. Raises ValueError when they were made for other features."""
        with np.load(path, allow_pickle=False) as stored:
            if tuple(stored["features"].tolist()) != FEATURES:
                raise ValueError(f"{path}: made for other features; train the content score again")
            count = int(stored["layers"])
            layers = [(stored[f"weights{n}"], stored[f"bias{n}"]) for n in range(count)]
            return cls(layers, float(stored["cut_factor"]))

    def probabilities(self, rows: Floats) -> Floats:
        """Probability of each block to be main content, before the page's cut is known."""
        for weights, bias in self.layers[:-1]:
            rows = rows @ weights
            rows += bias
            np.maximum(rows, 0, out=rows)
        weights, bias = self.layers[-1]
        odds: Floats = 1 / (1 + np.exp(-np.clip((rows @ weights + bias)[:, 0], -30, 30)))
        return odds

    def scores(self, rows: Floats, lengths: npt.NDArray[np.float32]) -> Floats:
        """Scores of a page's blocks; `lengths` are the texts' characters."""
        odds = self.probabilities(rows)
        cut = best_cut(odds, lengths) * self.cut_factor
        return recentre(odds, min(max(cut, _CUT_FLOOR), _CUT_CEILING))


def best_cut(odds: Floats, lengths: npt.NDArray[np.float32]) -> float:
    """Return the probability at which the selection's expected F1 by length is highest."""
    order = np.argsort(-odds, kind="stable")
    ranked, sizes = odds[order], lengths[order]
    found = np.cumsum(ranked * sizes)
    if not len(found) or found[-1] <= 0:
        return 0.5
    best = int(np.argmax(found / (np.cumsum(sizes) + found[-1])))
    below = float(ranked[best + 1]) if best + 1 < len(ranked) else 0.0
    return (float(ranked[best]) + below) / 2


def recentre(odds: Floats, cut: float) -> Floats:
    """Shift probabilities by their log odds so that `cut` becomes one half."""
    share = odds * (1 - cut)
    scores: Floats = share / (share + (1 - odds) * cut)
    return scores


@lru_cache(maxsize=1)
def model() -> ContentModel:
    """The shipped model."""
    return ContentModel.load()


def score(page: Walk, title: str | None) -> list[float]:
    """Score every block of a page between 0 (boilerplate) and 1 (main content)."""
    if not page.text:
        return []
    lengths = np.fromiter(map(len, page.text), np.float32, len(page.text))
    scores: list[float] = model().scores(features(page, title), lengths).tolist()
    return scores
