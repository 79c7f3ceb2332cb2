"""The content score of each block, the type of the page, and how far its extraction can be trusted.

A small network says how likely each block is main content, from the block's features and the type
of the page. Scores are shifted so that one half is the page's own best cut: the selection with the
highest expected F1 (Lewis 1995, "Evaluating and optimizing autonomous text classification
systems"), so that a gallery of short texts and a long article are both cut where they should be.
The weights are data (content_score.npz), trained by the benchmark train_content_score on pages
whose main text people marked. The type of a page comes from a linear model over the mean of its
blocks' features, their mean by length, their sums, and the words (page_words.yaml) and the shape of
its address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import yaml

from benben.pipeline.compiled import Floats, Integers, borrowed, called, compiled
from benben.pipeline.hash_tables import Table, make_table
from benben.pipeline.page.dom.walk import Walk
from benben.pipeline.page.score.features import FEATURES, PAGE, TEXT, Blocks, describe

PAGE_TYPES = (
    "article", "collection", "documentation", "forum", "listing", "product", "service",
)  # fmt: skip
_WORDS: dict[str, list[str]] = yaml.safe_load(
    (resources.files("benben.pipeline.page.score") / "page_words.yaml").read_text(encoding="utf-8")
)
_GROUPS: dict[str, int] = {}  # word -> the groups it is in, as bits
for _number, _words in enumerate(_WORDS.values()):
    for _word in _words:
        _GROUPS[_word] = _GROUPS.get(_word, 0) | 1 << _number
# Any text matches: host, path, query.
_PARTS = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?(?://([^/?#]*))?([^?#]*)(\?[^#]*)?")
_LETTERS = re.compile("[a-z]+")
_YEAR, _NUMBER = re.compile(r"/(?:19|20)\d\d/"), re.compile(r"\d{4}")
_ENDING = re.compile(r"\.(?:html?|php|aspx?)$")
_OF_BLOCKS = ("tag_", "in_", "word_", "label_", "section_")
_SUMMED = np.array([n for n, f in enumerate(FEATURES) if f in TEXT or f.startswith(_OF_BLOCKS)])
_OF_PAGE = np.array([FEATURES.index(name) for name in PAGE])
_ADDRESS = ("root", "parts", "query", "hyphens", "digits", "year", "ending", "length", "number")
PAGE_FEATURES = (
    *(f"{how}_{FEATURES[n]}" for how in ("mean", "text", "sum") for n in _SUMMED),
    *PAGE,
    *_ADDRESS,
    *(f"address_{group}" for group in _WORDS),
)
_LONGEST = 2000  # characters of an address that are read
WEIGHTS = resources.files("benben.pipeline.page.score") / "content_score.npz"
NAMES = (*FEATURES, *PAGE_FEATURES, *PAGE_TYPES)  # what the weights were trained on
_CUT_FLOOR, _CUT_CEILING = 0.02, 0.9  # limits of a page's cut
_IN_HIDDEN = FEATURES.index("in_hidden")
_SEEN = 0.8  # share of the main content that readers see
_LOWERED = 0.5  # the surer of a text, the surer of its copy; at most 0.25, where no text ships
DOUBT = 4  # numbers that `doubts` returns


class Scored(NamedTuple):
    """What the model says of a page."""

    scores: Floats  # of its blocks
    comments: npt.NDArray[np.bool_]  # which of its blocks are readers' comments
    page_type: str | None
    confidence: float | None  # expected token F1 of its main text; None for a page without blocks


def score(page: Walk, title: str | None, url: str) -> Scored:
    """Score every block of a page between 0 (boilerplate) and 1 (main content), and the page."""
    if not len(page.blocks):
        return Scored(np.empty(0), np.empty(0, np.bool_), None, None)
    found = model()
    return found.read(describe(page, title, found.words), url)


@lru_cache(maxsize=1)
def model() -> ContentModel:
    """Load the shipped model."""
    return ContentModel.load()


class Linear(NamedTuple):
    """A linear layer."""

    weights: Floats
    bias: Floats


class ContentModel:
    """A feed-forward network with rectified hidden layers, and two linear models of the page.

    Inputs need no scaling. The first layer reads the features of a block, then the probabilities
    of the page's types; these are the same for all blocks, so they become part of its bias.
    """

    def __init__(
        self,
        layers: Sequence[Linear],
        page_type: Linear,
        confidence: Linear,
        cut_factor: float,
        evenness: float,
        words: Table,
    ) -> None:
        self.layers = layers
        self.page_type = page_type
        self.confidence = confidence
        self.cut_factor = cut_factor  # multiplies the page's best cut
        self.evenness = evenness  # 0: each block on its own, 1: each kind of markup as a whole
        self.words = words  # weights of words; see wording.py

    @classmethod
    def load(cls, path: Traversable = WEIGHTS) -> ContentModel:
        """Read weights. Raises ValueError if they were trained on other features."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if tuple(stored["features"].tolist()) != NAMES:
                raise ValueError(f"{path}: made for other features; train the content score again")

            def layer(name: str) -> Linear:
                return Linear(stored[f"{name}_weights"], stored[f"{name}_bias"])

            return cls(
                [layer(f"layer{number}") for number in range(int(stored["layers"]))],
                layer("page_type"),
                layer("confidence"),
                float(stored["cut_factor"]),
                float(stored["evenness"]),
                make_table(stored["word_keys"], stored["word_weights"]),
            )

    def arrays(self) -> Mapping[str, Any]:
        """Return what `load` reads."""
        named = {f"layer{number}": layer for number, layer in enumerate(self.layers)}
        named |= {"page_type": self.page_type, "confidence": self.confidence}
        found = {f"{name}_weights": layer.weights for name, layer in named.items()}
        found |= {f"{name}_bias": layer.bias for name, layer in named.items()}
        counts = {"layers": len(self.layers), "features": NAMES}
        used = self.words.keys != 0
        found |= {"word_keys": self.words.keys[used], "word_weights": self.words.values[used]}
        return found | counts | {"cut_factor": self.cut_factor, "evenness": self.evenness}

    def read(self, blocks: Blocks, url: str) -> Scored:
        """Return the scores of the blocks of a page, its type, and the confidence."""
        types = self.types(describe_page(blocks.rows, blocks.lengths, url))
        scores = self.scores(blocks, types)
        doubt = doubts(scores, blocks.lengths)
        odds = linear(np.concatenate([doubt, types]), *self.confidence)
        confidence = float(probabilities(odds)[0])
        page_type = PAGE_TYPES[int(np.argmax(types))]
        comments = blocks.comments & (page_type != "forum")  # there, they are the content
        return Scored(scores, comments, page_type, confidence)

    def types(self, page: Floats) -> Floats:
        """Return the probability of each of PAGE_TYPES."""
        return softmax(linear(page, *self.page_type))

    def probabilities(self, rows: Floats, types: Floats) -> Floats:
        """Return the probability of each block to be main content, before the page's cut."""
        first, bias = self.layers[0]
        size = rows.shape[1]
        bias = linear(types, first[size:], bias)
        rows = apply_layer(rows, first[:size], bias, len(self.layers) > 1)
        for number, (weights, bias) in enumerate(self.layers[1:], 1):
            rows = apply_layer(rows, weights, bias, number + 1 < len(self.layers))
        return probabilities(rows[:, 0])

    def scores(self, blocks: Blocks, types: Floats) -> Floats:
        """Return the scores of the blocks of a page."""
        probs = self.probabilities(blocks.rows, types)
        scores = to_scores(probs, blocks.kinds, blocks.lengths, self.evenness, self.cut_factor)
        scores = lower_hidden(scores, blocks.rows[:, _IN_HIDDEN], blocks.lengths)
        return lower_copies(scores, blocks.copies)


@compiled
def linear(inputs: Floats, weights: Floats, bias: Floats) -> Floats:
    """Apply a linear layer to one row; for BLAS see `apply_layer`."""
    found = bias.copy()
    for name in range(len(inputs)):
        if inputs[name]:
            for unit in range(len(found)):
                found[unit] += inputs[name] * weights[name, unit]
    return found


@compiled
def softmax(logits: Floats) -> Floats:
    """Turn log odds into probabilities that sum to one."""
    found: Floats = np.exp(logits - logits.max())
    found /= found.sum()
    return found


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
def doubts(scores: Floats, lengths: Integers) -> Floats:
    """Return what says how sure the scores are: F1 that they expect, doubt, share and size of text.

    The expected F1 takes the scores as probabilities. The doubt is the mean of p (1 - p) over the
    characters.
    """
    everything = kept = right = wanted = doubt = 0.0
    for place in range(len(scores)):
        chars, chance = lengths[place], scores[place]
        everything += chars
        wanted += chance * chars
        doubt += chance * (1 - chance) * chars
        if chance >= 0.5:
            kept += chars
            right += chance * chars
    found = np.empty(DOUBT)
    some = max(1.0, everything)
    found[0] = 2 * right / max(1.0, kept + wanted)
    found[1], found[2], found[3] = doubt / some, kept / some, np.log1p(kept) / 10
    return found


@called
def even_out(probs: Floats, kinds: Integers, lengths: Integers, share: float) -> Floats:
    """Move blocks of one kind of markup together, such as the items of a list.

    Log odds move by `share` towards their mean over the kind, weighted by the root of the lengths.
    """
    logits = np.log(probs / (1 - probs))
    weights = np.sqrt(lengths + 1.0)
    means = np.bincount(kinds, logits * weights) / np.bincount(kinds, weights)
    return 1 / (1 + np.exp(-((1 - share) * logits + share * means[kinds])))


@called
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
def lower_hidden(scores: Floats, hidden: Floats, lengths: Integers) -> Floats:
    """Lower the scores of hidden texts where readers see the main content without them.

    Else the page hides its content until a script shows it. Images keep their scores, since many
    stand in sliders that hide all but one. `hidden`: whether each block is; `lengths`: its
    characters.
    """
    seen = unseen = 0
    for place in range(len(scores)):
        if scores[place] >= 0.5:
            if hidden[place]:
                unseen += lengths[place]
            else:
                seen += lengths[place]
    if seen and seen >= _SEEN * (seen + unseen):
        for place in range(len(scores)):
            if hidden[place] and lengths[place] and scores[place] >= 0.5:
                scores[place] = _LOWERED * (1 - scores[place])
    return scores


@compiled
def lower_copies(scores: Floats, copies: Integers) -> Floats:
    """Lower the score of a text that an earlier block of the main content says as it is.

    `copies`: number of each text, below the number of texts, or -1 where it may come again.
    """
    kept = np.zeros(len(scores), np.bool_)
    for place in range(len(scores)):
        if copies[place] >= 0 and scores[place] >= 0.5:
            if kept[copies[place]]:
                scores[place] = _LOWERED * (1 - scores[place])
            kept[copies[place]] = True
    return scores


@called
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


@called
def recentre(probs: Floats, cut: float) -> Floats:
    """Shift probabilities by their log odds so that `cut` becomes one half."""
    share = probs * (1 - cut)
    return share / (share + (1 - probs) * cut)


# What the page type sees: sums of the features of blocks, and the address.


def describe_page(rows: Floats, lengths: Integers, url: str) -> Floats:
    """Compute the features of a page from those of its blocks, of which it has at least one."""
    return np.concatenate([sum_up(rows, lengths, _SUMMED), rows[0, _OF_PAGE], _address(url)])


@compiled
def sum_up(rows: Floats, lengths: Integers, columns: Integers) -> Floats:
    """Return means of some features over the blocks, means by length, and logarithms of sums."""
    count, size = len(columns), len(rows)
    found = np.zeros((3, count))
    out, rows, lengths = borrowed(found), borrowed(rows), borrowed(lengths)
    chars = max(1, lengths.sum())
    for number in range(size):
        share = lengths[number] / chars
        for place in range(count):
            value = rows[number, columns[place]]
            if value:
                out[0, place] += value
                out[1, place] += value * share
    for place in range(count):
        out[2, place] = np.log1p(max(out[0, place], 0.0))
        out[0, place] /= size
    return found.ravel()


def _address(url: str) -> list[float]:
    """Features of an address, in the order of _ADDRESS and the groups of words."""
    host, path, query = _PARTS.match(url[:_LONGEST]).groups("")  # type: ignore[union-attr]
    levels = [level for level in path.split("/") if level]
    last = levels[-1] if levels else ""
    groups = 0
    for word in _LETTERS.findall(f"{host}{path}".lower()):
        groups |= _GROUPS.get(word, 0)
    return [
        not levels,
        len(levels),
        len(query) > 1,
        last.count("-") + last.count("_"),
        sum(letter in "0123456789" for letter in last),
        _YEAR.search(path) is not None,
        _ENDING.search(last) is not None,
        len(last) / 20,
        _NUMBER.search(path) is not None,
        *(groups >> number & 1 for number in range(len(_WORDS))),
    ]
