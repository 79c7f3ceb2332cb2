"""What the content score sees of a page's blocks: a row of named numbers for each.

Counts, markup and neighbourhood only, nothing of a language: commas and sentence ends are those of
many scripts, and words of class attributes are English on pages of any language. Lengths enter as
logarithms. A container's statistics are differences of running sums, since an element's blocks
lie side by side in reading order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benben.pipeline.compiled import Floats, Integers, borrowed, compiled
from benben.pipeline.page.dom.elements import (
    AROUND,
    FIGURE,
    FIRST_AROUND,
    FIRST_BIT,
    GROUPS,
    HIDDEN,
    TAGS,
    tag_id,
)
from benben.pipeline.page.dom.walk import Walk
from benben.pipeline.page.score.features import (
    ALIKE,
    LEVEL,
    LEVELS,
    NEAR,
    PAGE,
    POSITION,
    SHIFTS,
    TEXT,
    WINDOWS,
    Layout,
    describe_blocks,
)

_TAGS = {
    "p": ("p",), "h1": ("h1",), "h2": ("h2",), "h3": ("h3",), "h4": ("h4", "h5", "h6"),
    "li": ("li",), "cell": ("td", "th", "tr", "caption"), "div": ("div",), "dl": ("dd", "dt", "dl"),
    "pre": ("pre",), "quote": ("blockquote",), "figcaption": ("figcaption",), "body": ("body",),
    "section": ("article", "section", "main"), "header": ("header",), "summary": ("summary",),
    "list": ("ul", "ol"),
}  # fmt: skip
_HEADINGS = ("h1", "h2", "h3", "h4")
FEATURES: tuple[str, ...] = (
    *TEXT,
    "depth",
    *(f"tag_{tag}" for tag in (*_TAGS, "other")),
    *(f"parent_{tag}" for tag in (*_TAGS, "other")),
    *(f"in_{flag}" for flag in ("figure", "hidden", *AROUND)),
    *(f"word_{group}" for group in GROUPS),
    *(f"level{level}_{name}" for name in LEVEL for level in range(LEVELS)),
    *POSITION,
    *(f"{name}{shift:+d}" for shift in SHIFTS for name in NEAR),
    *(f"same_parent{shift:+d}" for shift in SHIFTS),
    *(f"same_element{shift:+d}" for shift in SHIFTS),
    *(f"window{size}_{name}" for name in ("chars", "link_share", "prose") for size in WINDOWS),
    *ALIKE,
    *PAGE,
)


def _tag_groups() -> npt.NDArray[np.int64]:
    groups = np.full(TAGS, len(_TAGS))
    for number, tags in enumerate(_TAGS.values()):
        groups[[tag_id(tag) for tag in tags]] = number
    return groups


_LAYOUT = Layout(
    width=len(FEATURES),
    tag_groups=_tag_groups(),
    tag_count=len(_TAGS) + 1,
    heading=np.isin(_tag_groups(), [list(_TAGS).index(tag) for tag in _HEADINGS]),
    flag_bits=np.array(
        [FIGURE.bit_length() - 1, HIDDEN.bit_length() - 1]
        + [FIRST_AROUND + number for number in range(len(AROUND))]
    ),
    first_word=FIRST_BIT,
    word_count=len(GROUPS),
)


class Blocks(NamedTuple):
    """What the score sees of a page's blocks."""

    rows: Floats  # one a block, one column for each of FEATURES
    kinds: Integers  # number of the block's kind of markup on this page
    lengths: Integers  # characters


def describe(page: Walk, title: str | None) -> Blocks:
    """Features of a page's blocks; the page has at least one."""
    text = np.frombuffer(page.text or b"\0", np.uint8)
    heading = np.frombuffer((title or "").encode("utf-8", "replace") or b"\0", np.uint8)
    return Blocks(*describe_blocks(page.elements, page.blocks, text, heading, _LAYOUT))


# FOLD-IN How likely each block is main content: a small network over named features.
#
# The weights are data (content_score.npz), made by benchmarks/train_content_score.py from pages
# whose
# main text people marked. Scores are set so that one half is the page's own best cut: the
# selection
# with the highest expected F1 (Lewis 1995, "Evaluating and optimizing autonomous text
# classification
# systems"), so a gallery of short texts and a long article are both cut where they should be.


WEIGHTS = resources.files("benben.pipeline.page.score") / "content_score.npz"
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
        return probabilities(rows[:, 0])

    def scores(self, blocks: Blocks) -> Floats:
        """Scores of a page's blocks."""
        odds = self.probabilities(blocks.rows)
        return settle(odds, blocks.kinds, blocks.lengths, self.evenness, self.cut_factor)


@compiled
def apply_layer(inputs: Floats, weights: Floats, bias: Floats, rectified: bool) -> Floats:
    """One layer of the network, four inputs at a step; often all four are zero and cost nothing.

    Not left to BLAS: its sums come out otherwise on other processors, and its threads wait for one
    another longer than a page takes.
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
    """Probabilities of log odds, never quite 0 or 1."""
    odds = np.empty(len(logits))
    for place in range(len(logits)):
        odds[place] = 1 / (1 + np.exp(-min(max(logits[place], -10.0), 10.0)))
    return odds


@compiled
def settle(
    odds: Floats, kinds: Integers, lengths: Integers, evenness: float, cut_factor: float
) -> Floats:
    """Scores of a page's blocks from their probabilities."""
    odds = even_out(odds, kinds, lengths, evenness)
    cut = min(max(best_cut(odds, lengths) * cut_factor, _CUT_FLOOR), _CUT_CEILING)
    return lift_images(recentre(odds, cut), lengths)


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


@compiled
def recentre(odds: Floats, cut: float) -> Floats:
    """Shift probabilities by their log odds so that `cut` becomes one half."""
    share = odds * (1 - cut)
    return share / (share + (1 - odds) * cut)


@lru_cache(maxsize=1)
def model() -> ContentModel:
    """The shipped model."""
    return ContentModel.load()


def score(page: Walk, title: str | None) -> Floats:
    """Score every block of a page between 0 (boilerplate) and 1 (main content)."""
    if not len(page.blocks):
        return np.empty(0)
    return model().scores(describe(page, title))
