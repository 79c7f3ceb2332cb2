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

from pipeline.compiled import borrowed, compiled
from pipeline.page.content_features import FEATURES, Blocks, Floats, Integers, describe
from pipeline.page.walked import Walk

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
        for number, (weights, bias) in enumerate(self.layers):
            rows = apply_layer(rows, weights, bias, number + 1 < len(self.layers))
        odds: Floats = 1 / (1 + np.exp(-np.clip(rows[:, 0], -10, 10)))
        return odds

    def scores(self, blocks: Blocks) -> Floats:
        """Scores of a page's blocks."""
        odds = self.probabilities(blocks.rows).astype(np.float64)
        odds = even_out(odds, blocks.kinds, blocks.lengths, self.evenness)
        cut = best_cut(odds, blocks.lengths) * self.cut_factor
        scores = recentre(odds, min(max(cut, _CUT_FLOOR), _CUT_CEILING))
        return lift_images(scores, blocks.lengths)


@compiled
def apply_layer(inputs: Floats, weights: Floats, bias: Floats, rectified: bool) -> Floats:
    """One layer of the network, four inputs at a step; most are zero, and those cost nothing.

    Not left to BLAS: its sums come out otherwise on other processors, and its threads wait for one
    another longer than a page takes.
    """
    found = np.empty((len(inputs), len(bias)), np.float32)
    rows, weights, bias = borrowed(inputs), borrowed(weights), borrowed(bias)
    out, count, units = borrowed(found), weights.shape[0], len(bias)
    names, values = np.empty(count + 4, np.int64), np.empty(count + 4, np.float32)
    for number in range(len(rows)):
        some = 0
        for name in range(count):
            names[some], values[some] = name, rows[number, name]
            some += rows[number, name] != 0
        names[some : some + 4], values[some : some + 4] = 0, 0
        for unit in range(units):
            out[number, unit] = bias[unit]
        for step in range(0, some, 4):
            a, b, c, d = names[step], names[step + 1], names[step + 2], names[step + 3]
            p, q, r, s = values[step], values[step + 1], values[step + 2], values[step + 3]
            for unit in range(units):
                out[number, unit] += (p * weights[a, unit] + q * weights[b, unit]) + (
                    r * weights[c, unit] + s * weights[d, unit]
                )
        if rectified:
            for unit in range(units):
                out[number, unit] = max(out[number, unit], np.float32(0))
    return found


@compiled
def even_out(odds: Floats, kinds: Integers, lengths: Integers, share: float) -> Floats:
    """Draw blocks of one kind of markup together: the parts of a list's items stand or fall as one.

    Log odds move by `share` towards their mean over the kind, weighted by the root of the lengths.
    """
    logits = np.log(odds / (1 - odds))
    weights = np.sqrt(lengths + 1.0)
    means = np.bincount(kinds, logits * weights) / np.bincount(kinds, weights)
    return 1 / (1 + np.exp(-((1 - share) * logits + share * means[kinds])))


@compiled
def lift_images(scores: Floats, lengths: Integers) -> Floats:
    """Raise blocks without text to what the nearest texts before and after them suggest.

    The better of the two counts twice: an image that opens or ends the content has one of them.
    """
    texts = np.flatnonzero(lengths)
    if not len(texts):
        return scores
    after = 0  # place in `texts` of the next text
    for place in range(len(scores)):
        if lengths[place]:
            after += 1
        else:
            before = scores[texts[max(after - 1, 0)]]
            behind = scores[texts[min(after, len(texts) - 1)]]
            around = (before + behind + max(before, behind)) / 3
            scores[place] = max(scores[place], around)
    return scores


@compiled
def best_cut(odds: Floats, lengths: Integers) -> float:
    """Return the probability at which the selection's expected F1 by length is highest."""
    order = np.argsort(-odds, kind="mergesort")
    everything = (odds * lengths).sum()
    best, cut, found, taken = -1.0, 0.5, 0.0, 0
    for rank in range(len(order)):
        found += odds[order[rank]] * lengths[order[rank]]
        taken += lengths[order[rank]]
        if everything > 0 and found / (taken + everything) > best:
            best = found / (taken + everything)
            below = odds[order[rank + 1]] if rank + 1 < len(order) else 0.0
            cut = (odds[order[rank]] + below) / 2
    return cut


def recentre(odds: Floats, cut: float) -> Floats:
    """Shift probabilities by their log odds so that `cut` becomes one half."""
    share = odds * (1 - cut)
    scores: Floats = share / (share + (1 - odds) * cut)
    return scores


@lru_cache(maxsize=1)
def model() -> ContentModel:
    """The shipped model."""
    return ContentModel.load()


def score(page: Walk, title: str | None) -> Floats:
    """Score every block of a page between 0 (boilerplate) and 1 (main content)."""
    if not len(page.blocks):
        return np.empty(0)
    return model().scores(describe(page, title))
