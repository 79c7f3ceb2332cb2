"""How likely each block is main content: a small network over named features.

The weights are data (content_score.npz), made by benchmarks/train_content_score.py from pages whose
main text people marked. Scores are set so that one half is the page's own best cut: the selection
with the highest expected F1 (Lewis 1995, "Evaluating and optimizing autonomous text classification
systems"), so a gallery of short texts and a long article are both cut where they should be.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np

from pipeline.page.content_features import FEATURES, Blocks, Floats, Integers, describe
from pipeline.page.walk import Walk

WEIGHTS = resources.files("pipeline.page") / "content_score.npz"
_CUT_FLOOR, _CUT_CEILING = 0.02, 0.9  # a page's cut stays within


class ContentModel:
    """A feed-forward network with rectified hidden layers; inputs need no scaling."""

    def __init__(
        self, layers: Sequence[tuple[Floats, Floats]], cut_factor: float, evenness: float
    ) -> None:
        self.layers = layers
        self.cut_factor = cut_factor  # of the page's best cut
        self.evenness = evenness  # 0: each block for itself, 1: each kind of markup as a whole

    @classmethod
    def load(cls, path: Traversable = WEIGHTS) -> ContentModel:
        """Read weights. Raises ValueError when they were made for other features."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if tuple(stored["features"].tolist()) != FEATURES:
                raise ValueError(f"{path}: made for other features; train the content score again")
            count = int(stored["layers"])
            layers = [(stored[f"weights{n}"], stored[f"bias{n}"]) for n in range(count)]
            return cls(layers, float(stored["cut_factor"]), float(stored["evenness"]))

    def probabilities(self, rows: Floats) -> Floats:
        """Probability of each block to be main content, before the page's cut is known."""
        for weights, bias in self.layers[:-1]:
            rows = rows @ weights
            rows += bias
            np.maximum(rows, 0, out=rows)
        weights, bias = self.layers[-1]
        odds: Floats = 1 / (1 + np.exp(-np.clip((rows @ weights + bias)[:, 0], -10, 10)))
        return odds

    def scores(self, blocks: Blocks) -> Floats:
        """Scores of a page's blocks."""
        odds = even_out(self.probabilities(blocks.rows), blocks, self.evenness)
        cut = best_cut(odds, blocks.lengths) * self.cut_factor
        scores = recentre(odds, min(max(cut, _CUT_FLOOR), _CUT_CEILING))
        return lift_images(scores, blocks.lengths)


def even_out(odds: Floats, blocks: Blocks, share: float) -> Floats:
    """Draw blocks of one kind of markup together: the parts of a list's items stand or fall as one.

    Log odds move by `share` towards their mean over the kind, weighted by the root of the lengths.
    """
    logits = np.log(odds / (1 - odds))
    weights = np.sqrt(blocks.lengths + 1.0)
    means = np.bincount(blocks.kinds, logits * weights) / np.bincount(blocks.kinds, weights)
    evened: Floats = 1 / (1 + np.exp(-((1 - share) * logits + share * means[blocks.kinds])))
    return evened


def lift_images(scores: Floats, lengths: Integers) -> Floats:
    """Raise blocks without text to what the nearest texts before and after them suggest.

    The better of the two counts twice: an image that opens or ends the content has one of them.
    """
    texts = np.flatnonzero(lengths)
    empty = np.flatnonzero(lengths == 0)
    if not len(texts) or not len(empty):
        return scores
    after = np.searchsorted(texts, empty)
    before = scores[texts[np.maximum(after - 1, 0)]]
    behind = scores[texts[np.minimum(after, len(texts) - 1)]]
    around = (before + behind + np.maximum(before, behind)) / 3
    scores[empty] = np.maximum(scores[empty], around)
    return scores


def best_cut(odds: Floats, lengths: Integers) -> float:
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
    scores: list[float] = model().scores(describe(page, title)).tolist()
    return scores
