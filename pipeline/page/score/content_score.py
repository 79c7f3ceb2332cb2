"""The content score: how likely each block is main content, by a small network over its features.

The weights are data (content_score.npz), trained by the benchmark train_content_score on pages
whose main text people marked. Scores are shifted so that one half is the page's own best cut: the
selection with the highest expected F1 (Lewis 1995, "Evaluating and optimizing autonomous text
classification systems"). So a gallery of short texts and a long article are both cut where they
should be.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np

from benben.pipeline.compiled import Floats, Integers, borrowed, compiled
from benben.pipeline.page.dom.walk import Walk
from benben.pipeline.page.score.features import FEATURES, Blocks, describe

WEIGHTS = resources.files("benben.pipeline.page.score") / "content_score.npz"
_CUT_FLOOR, _CUT_CEILING = 0.02, 0.9  # limits of a page's cut


def score(page: Walk, title: str | None) -> Floats:
    """Score every block of a page between 0 (boilerplate) and 1 (main content)."""
    if not len(page.blocks):
        return np.empty(0)
    return model().scores(describe(page, title))


@lru_cache(maxsize=1)
def model() -> ContentModel:
    """Load the shipped model."""
    return ContentModel.load()


class ContentModel:
    """A feed-forward network with rectified hidden layers; inputs need no scaling."""

    def __init__(
        self, layers: Sequence[tuple[Floats, Floats]], cut_factor: float, evenness: float
    ) -> None:
        self.layers = layers
        self.cut_factor = cut_factor  # multiplies the page's best cut
        self.evenness = evenness  # 0: each block on its own, 1: each kind of markup as a whole

    @classmethod
    def load(cls, path: Traversable = WEIGHTS) -> ContentModel:
        """Read weights. Raises ValueError if they were trained on other features."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if tuple(stored["features"].tolist()) != FEATURES:
                raise ValueError(f"{path}: made for other features; train the content score again")
            count = int(stored["layers"])
            layers = [(stored[f"weights{n}"], stored[f"bias{n}"]) for n in range(count)]
            return cls(layers, float(stored["cut_factor"]), float(stored["evenness"]))

    def probabilities(self, rows: Floats) -> Floats:
        """Return the probability of each block to be main content, before the page's cut."""
        for number, (weights, bias) in enumerate(self.layers):
            rows = apply_layer(rows, weights, bias, number + 1 < len(self.layers))
        return probabilities(rows[:, 0])

    def scores(self, blocks: Blocks) -> Floats:
        """Return the scores of the blocks of a page."""
        probs = self.probabilities(blocks.rows)
        return to_scores(probs, blocks.kinds, blocks.lengths, self.evenness, self.cut_factor)


@compiled
def apply_layer(inputs: Floats, weights: Floats, bias: Floats, rectified: bool) -> Floats:
    """Apply one layer of the network, four inputs at a time; often all four are zero and skipped.

    BLAS is not used: its sums differ between processors, and its threads wait for each other
    longer than a page takes.
    """
    found = np.empty((len(inputs), len(bias)), np.float32)
    rows, weights, bias = borrowed(inputs), borrowed(weights), borrowed(bias)
    out, units = borrowed(found), len(bias)
    whole = len(weights) // 4 * 4
    for number in range(len(rows)):
        row = rows[number]
        for unit in range(units):
            out[number, unit] = bias[unit]
        for name in range(0, whole, 4):
            p, q, r, s = row[name], row[name + 1], row[name + 2], row[name + 3]
            if p or q or r or s:
                for unit in range(units):
                    out[number, unit] += (p * weights[name, unit] + q * weights[name + 1, unit]) + (
                        r * weights[name + 2, unit] + s * weights[name + 3, unit]
                    )
        for name in range(whole, len(weights)):
            for unit in range(units):
                out[number, unit] += row[name] * weights[name, unit]
        if rectified:
            for unit in range(units):
                out[number, unit] = max(out[number, unit], np.float32(0))
    return found


@compiled
def probabilities(logits: Floats) -> Floats:
    """Turn log odds into probabilities, never quite 0 or 1."""
    probs = np.empty(len(logits))
    for place in range(len(logits)):
        probs[place] = 1 / (1 + np.exp(-min(max(logits[place], -10.0), 10.0)))
    return probs


@compiled
def to_scores(
    probs: Floats, kinds: Integers, lengths: Integers, evenness: float, cut_factor: float
) -> Floats:
    """Turn the probabilities of a page's blocks into scores."""
    probs = even_out(probs, kinds, lengths, evenness)
    cut = min(max(best_cut(probs, lengths) * cut_factor, _CUT_FLOOR), _CUT_CEILING)
    return lift_images(recentre(probs, cut), lengths)


@compiled
def even_out(probs: Floats, kinds: Integers, lengths: Integers, share: float) -> Floats:
    """Move blocks of one kind of markup together, such as the items of a list.

    Log odds move by `share` towards their mean over the kind, weighted by the root of the lengths.
    """
    logits = np.log(probs / (1 - probs))
    weights = np.sqrt(lengths + 1.0)
    means = np.bincount(kinds, logits * weights) / np.bincount(kinds, weights)
    return 1 / (1 + np.exp(-((1 - share) * logits + share * means[kinds])))


@compiled
def lift_images(scores: Floats, lengths: Integers) -> Floats:
    """Raise blocks without text to what the nearest texts before and after them suggest.

    The better of the two counts twice, since an image that begins or ends the content has only one.
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
def best_cut(probs: Floats, lengths: Integers) -> float:
    """Return the cut whose selection has the highest expected F1, weighted by length."""
    order = np.argsort(-probs, kind="mergesort")
    everything = (probs * lengths).sum()
    best, cut, found, taken = -1.0, 0.5, 0.0, 0
    for rank in range(len(order)):
        found += probs[order[rank]] * lengths[order[rank]]
        taken += lengths[order[rank]]
        if everything > 0 and found / (taken + everything) > best:
            best = found / (taken + everything)
            below = probs[order[rank + 1]] if rank + 1 < len(order) else 0.0
            cut = (probs[order[rank]] + below) / 2
    return cut


@compiled
def recentre(probs: Floats, cut: float) -> Floats:
    """Shift probabilities by their log odds so that `cut` becomes one half."""
    share = probs * (1 - cut)
    return share / (share + (1 - probs) * cut)
