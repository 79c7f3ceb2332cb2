"""Pictures and texts as vectors: what the model of image worth is trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from benben.pipeline.images.worth import look
from benben.pipeline.images.worth.words import Around, name_words

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
TEXT_SLOTS, NAME_SLOTS = 2_048, 512  # of hashed words and letter sequences
GRAM_SLOTS = 1 << 16  # of letter sequences whose frequency is counted
GRAMS = (3, 4, 5)  # letters of a sequence
NEAR = 10  # words from the image at which a word counts half
# Weights of the groups of a picture's vector: those of look.GROUPS, facts, file name, embedding.
WEIGHTS = (1.0, 1.0, 0.7, 0.5, 0.7, 1.0, 1.0, 2.0)
FACT_COLUMNS = ("width", "height", "num_bytes", "entropy", "flatness", "blur")


@dataclass(frozen=True, slots=True)
class Picture:
    """A fetched picture as numbers."""

    sha256: str
    grams: Integers  # distinct slots of the letter sequences of its file name
    groups: tuple[Floats, ...]  # parts of its vector, see WEIGHTS


@dataclass(frozen=True, slots=True)
class Text:
    """The text around an image as numbers."""

    grams: Integers  # distinct slots of the letter sequences of its words
    slots: Integers  # of its distinct words
    counts: Floats  # signed: square root of how often and how near each stands


def picture(url: str, row: Mapping[str, Any]) -> Picture:
    """Make the vector of a picture that has this address and this row of `images`."""
    names = _grams(name_words(url))
    slots, signs = _hashed(names, NAME_SLOTS)
    name = np.bincount(slots, signs, NAME_SLOTS).astype(np.float64)
    measured = np.asarray(row["look"], np.float64)
    parts = np.split(measured, np.cumsum(look.GROUPS)[:-1])
    embedding = np.asarray(row.get("embedding") or (), np.float64)
    grams = np.unique(_hashed(names, GRAM_SLOTS)[0])
    return Picture(row["sha256"], grams, (*parts, _facts(row), _unit(name), _unit(embedding)))


def _facts(row: Mapping[str, Any]) -> Floats:
    width, height, size, entropy, flatness, blur = (float(row[name]) for name in FACT_COLUMNS)
    return np.array(
        (
            math.log(width),
            math.log(height),
            math.log(width / height),
            math.log(max(size, 1) / (width * height)),
            entropy / 4,
            flatness * 2,
            math.log1p(blur) / 4,
        )
    )


def text(around: Around) -> Text | None:
    """Make the vector of the text around an image; None if there are no words."""
    near: dict[str, float] = {}
    for side in (around.before, around.after):
        for place, word in enumerate(side):
            near[word] = near.get(word, 0) + 1 / (1 + place / NEAR)
    if not near:
        return None
    slots, signs = _hashed(near, TEXT_SLOTS)
    grams = np.unique(_hashed(_grams(near), GRAM_SLOTS)[0])
    return Text(grams, slots, signs * np.sqrt(np.array(list(near.values()))))


def _grams(words: Iterable[str]) -> list[str]:
    """Words, and their sequences of letters; ends of words are letters too."""
    found = []
    for word in words:
        whole = f"^{word}$"
        found.append(whole)
        for size in GRAMS:
            found += [whole[start : start + size] for start in range(len(whole) - size + 1)]
    return found


def _hashed(tokens: Iterable[str], slots: int) -> tuple[Integers, Floats]:
    """Slot and sign of each token."""
    codes = [xxhash.xxh3_64_intdigest(token.encode("utf-8", "surrogatepass")) for token in tokens]
    values = np.array(codes, np.uint64)
    signs = np.where(values >> np.uint64(63), 1.0, -1.0)
    return (values % np.uint64(slots)).astype(np.int64), signs


def _unit(vector: Floats) -> Floats:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def rarity(sets: Sequence[Integers], slots: int) -> Floats:
    """Logarithm of how rare each slot is among sets of slots: 0 for one that all have."""
    seen = np.bincount(np.concatenate([np.empty(0, np.int64), *sets]), minlength=slots)
    found: Floats = np.log((len(sets) + 1) / (seen + 1))
    return found


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the groups of pictures' vectors and the words of texts are weighted."""

    means: tuple[Floats, ...]  # of each group
    spreads: Floats  # root mean square distance of a group from its mean
    words: Floats  # rarity of each slot of words

    @classmethod
    def of(cls, pictures: Sequence[Picture], texts: Sequence[Text]) -> Scaling:
        """Measure pictures and texts."""
        stacked = [np.array(one) for one in zip(*(p.groups for p in pictures), strict=True)]
        means = tuple(one.mean(0) for one in stacked)
        spreads = [
            math.sqrt(((one - mean) ** 2).sum(1).mean())
            for one, mean in zip(stacked, means, strict=True)
        ]
        return cls(means, np.array(spreads), rarity([one.slots for one in texts], TEXT_SLOTS))

    def picture(self, picture: Picture) -> Floats:
        """Return the vector of a picture, of length 1."""
        spreads = np.maximum(self.spreads, 1e-6)
        groups = zip(picture.groups, self.means, spreads, WEIGHTS, strict=True)
        return _unit(np.concatenate([(g - mean) * w / spread for g, mean, spread, w in groups]))

    def text(self, text: Text) -> Floats:
        """Return the vector of a text, of length 1."""
        weights = text.counts * self.words[text.slots]
        return _unit(np.bincount(text.slots, weights, TEXT_SLOTS).astype(np.float64))
