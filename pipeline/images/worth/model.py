"""The model of image worth: which pictures stand in which texts, learnt from a run's own pairs.

Two measures of a picture beside a text:

- name: how many of the letter sequences in the picture's file name the text has, rare ones first
- look: the cosine of picture and text in the space of a canonical correlation analysis (Hotelling
  1936) of pictures (look, facts, file name, an embedding if there is one) and of texts (words)

Each is compared with what other pictures of the run have beside the same text. A logistic
regression makes one number of both: the logarithm of how much likelier the picture is the text's
own than another picture of the run is. A ratio of likelihoods is by how much the picture lowers
the loss of its text, in nats (Gutmann and Hyvarinen 2010).

Pages are dealt to folds by their address, and a page is measured by what the other folds' pages
taught. Nothing is random: pictures for comparison are those with the least hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import xxhash

from benben.pipeline.images.worth.vectors import (
    GRAM_SLOTS,
    Floats,
    Picture,
    Scaling,
    Text,
    rarity,
)

FOLDS = 5
REFERENCES = 64  # pictures that each is compared with
DIMENSIONS = 128  # of the common space
RIDGE_PICTURE, RIDGE_TEXT = 3e-3, 3e-4  # added to the variances; vectors have length 1
LEAST_PAIRS = 50  # with fewer, nothing is learnt and no image has a worth
SPREAD = 0.03  # added to the spread of the others, so that equal ones make no large numbers
STEPS = 20  # of Newton's method
PENALTY = 1.0  # of the weights of the logistic regression


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and the text around it on a page."""

    page: str  # address
    picture: Picture
    text: Text


def fold_of(page: str) -> int:
    """Return the fold of a page."""
    return xxhash.xxh3_64_intdigest(page.encode("utf-8", "surrogatepass")) % FOLDS


@dataclass(frozen=True, slots=True)
class Space:
    """Pictures and texts in the common space that one set of pages taught."""

    picture_mean: Floats
    picture_axes: Floats
    text_mean: Floats
    text_axes: Floats

    @classmethod
    def of(cls, sums: _Sums) -> Space:
        """Make the canonical correlation analysis of pairs."""
        mean_x, mean_y = sums.x / sums.number, sums.y / sums.number
        within_x = sums.xx / sums.number - np.outer(mean_x, mean_x)
        within_y = sums.yy / sums.number - np.outer(mean_y, mean_y)
        across = sums.xy / sums.number - np.outer(mean_x, mean_y)
        low_x = np.linalg.cholesky(within_x + RIDGE_PICTURE * np.eye(len(mean_x)))
        low_y = np.linalg.cholesky(within_y + RIDGE_TEXT * np.eye(len(mean_y)))
        half = np.linalg.solve(low_x, across)
        white = np.linalg.solve(low_y, half.T).T
        values, vectors = np.linalg.eigh(white @ white.T)
        chosen = np.argsort(-values, kind="stable")[:DIMENSIONS]
        strength = np.sqrt(np.maximum(values[chosen], 1e-12))
        left = vectors[:, chosen]
        right = white.T @ left / strength
        # Each axis counts by its correlation, half of it on either side.
        axes_x = np.linalg.solve(low_x.T, left) * np.sqrt(strength)
        axes_y = np.linalg.solve(low_y.T, right) * np.sqrt(strength)
        return cls(mean_x, axes_x, mean_y, axes_y)

    def picture(self, vector: Floats) -> Floats:
        """Return a picture's place, at distance 1 from the centre."""
        return _unit((vector - self.picture_mean) @ self.picture_axes)

    def text(self, vector: Floats) -> Floats:
        """Return a text's place, at distance 1 from the centre."""
        return _unit((vector - self.text_mean) @ self.text_axes)


def _unit(vector: Floats) -> Floats:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


@dataclass(slots=True)
class _Sums:
    """What the analysis needs of pairs; sums of some can be taken from those of all."""

    number: float
    x: Floats
    y: Floats
    xx: Floats
    yy: Floats
    xy: Floats

    @classmethod
    def of(cls, xs: Floats, ys: Floats) -> _Sums:
        return cls(len(xs), xs.sum(0), ys.sum(0), xs.T @ xs, ys.T @ ys, xs.T @ ys)

    def without(self, other: _Sums) -> _Sums:
        return _Sums(*(getattr(self, n) - getattr(other, n) for n in _Sums.__slots__))

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(*(getattr(self, n) + getattr(other, n) for n in _Sums.__slots__))


class Model:
    """A trained model. `Model.train` makes one of a run's pairs."""

    def __init__(
        self,
        scaling: Scaling,
        grams: Floats,
        spaces: Sequence[Space],
        references: Sequence[Picture],
        weights: Floats,
    ) -> None:
        self.scaling, self.grams, self.spaces = scaling, grams, spaces
        self.references, self.weights = references, weights
        vectors = [scaling.picture(one) for one in references]
        self._places = [np.array([space.picture(v) for v in vectors]) for space in spaces]
        self._names = [float(grams[one.grams].sum()) for one in references]
        self._entries = np.concatenate([np.empty(0, np.int64), *(r.grams for r in references)])
        self._owners = np.repeat(np.arange(len(references)), [len(r.grams) for r in references])
        self._marks = np.zeros(GRAM_SLOTS)

    @classmethod
    def train(cls, pairs: Sequence[Pair]) -> Model | None:
        """Train on pairs, whose order does not matter; None if they are fewer than LEAST_PAIRS."""
        if len(pairs) < LEAST_PAIRS:
            return None
        ordered = sorted(pairs, key=_order)
        pictures, texts = [one.picture for one in ordered], [one.text for one in ordered]
        scaling = Scaling.of(pictures, texts)
        references = choose_references(pictures)
        spaces = _spaces(ordered, scaling)
        grams = rarity([one.grams for one in texts], GRAM_SLOTS)
        model = cls(scaling, grams, spaces, references, np.array((1.0, 1.0, 0.0)))
        model.weights = _logistic(*model.examples(ordered))
        return model

    def examples(self, ordered: Sequence[Pair]) -> tuple[Floats, Floats]:
        """Measures of each pair, and of each text with the picture of the next text."""
        rows: list[Floats] = []
        own: list[float] = []
        for place, pair in enumerate(ordered):
            others = (ordered[(place + step) % len(ordered)].picture for step in range(1, 9))
            strange = [o for o in others if o.sha256 != pair.picture.sha256][:1]
            found = self.measures([pair.picture, *strange], pair.text, fold_of(pair.page))
            rows.extend(found)
            own.extend([1.0, 0.0][: len(found)])
        return np.array(rows), np.array(own)

    def worth(self, pictures: Sequence[Picture], text: Text, page: str) -> Floats:
        """Return the worth of pictures beside a text of a page, in nats: 0 for an average one."""
        found = self.measures(pictures, text, fold_of(page))
        worth: Floats = (found * self.weights[:2]).sum(1) + self.weights[2]
        return worth

    def measures(self, pictures: Sequence[Picture], text: Text, fold: int) -> Floats:
        """Name and look of pictures beside a text, as spreads above those of the references."""
        space = self.spaces[fold]
        place = space.text(self.scaling.text(text))
        self._marks[text.grams] = self.grams[text.grams]
        shared = np.bincount(self._owners, self._marks[self._entries], len(self.references)).astype(
            np.float64
        )
        names = shared / np.maximum(self._names, 1e-9)
        named = np.array(self._names) > 0
        looks = self._places[fold] @ place
        found = []
        for picture in pictures:
            total = float(self.grams[picture.grams].sum())
            own = float(self._marks[picture.grams].sum()) / max(total, 1e-9)
            other = np.array([one.sha256 != picture.sha256 for one in self.references])
            name = _above(own, names[other & named]) if total else 0.0
            look = float(space.picture(self.scaling.picture(picture)) @ place)
            found.append((name, _above(look, looks[other])))
        self._marks[text.grams] = 0
        return np.array(found)


def _order(pair: Pair) -> tuple[int, str, bytes]:
    key = f"{pair.page}\n{pair.picture.sha256}"
    digest = xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogatepass"))
    return digest, key, pair.text.slots.tobytes()


def choose_references(pictures: Sequence[Picture]) -> list[Picture]:
    """Choose distinct pictures by the least hashes of their contents."""
    distinct = {one.sha256: one for one in reversed(pictures)}
    ranked = sorted(distinct, key=lambda name: (xxhash.xxh3_64_intdigest(name.encode()), name))
    return [distinct[name] for name in islice(ranked, REFERENCES)]


def _spaces(pairs: Sequence[Pair], scaling: Scaling) -> list[Space]:
    """Make the space of each fold, from the pairs of the others."""
    folds = np.array([fold_of(one.page) for one in pairs])
    xs = np.array([scaling.picture(one.picture) for one in pairs])
    ys = np.array([scaling.text(one.text) for one in pairs])
    parts = [_Sums.of(xs[folds == fold], ys[folds == fold]) for fold in range(FOLDS)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return [Space.of(total.without(part)) for part in parts]


def _above(own: float, others: Floats) -> float:
    """How many spreads a value lies above others."""
    if not len(others):
        return 0.0
    return (own - float(others.mean())) / (float(others.std()) + SPREAD)


def _logistic(rows: Floats, own: Floats) -> Floats:
    """Fit a logistic regression by Newton's method; the last weight is the bias."""
    inputs = np.column_stack([rows, np.ones(len(rows))])
    penalty = PENALTY * np.diag([1.0, 1.0, 0.0])
    weights = np.zeros(3)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        slope = inputs.T @ (chance - own) + penalty @ weights
        curve = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + penalty
        weights = weights - np.linalg.solve(curve + 1e-6 * np.eye(3), slope)
    return weights
