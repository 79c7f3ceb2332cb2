"""Train the content score, the page type and the confidence on the human gold data.

python -m benchmarks.train_content_score            cross-validate by domain, then train on all
python -m benchmarks.train_content_score --check    cross-validate only
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np

from benben.pipeline.compiled import Floats
from benben.pipeline.hash_tables import Table
from benben.pipeline.page.score.content_score import (
    DOUBT,
    PAGE_FEATURES,
    PAGE_TYPES,
    ContentModel,
    Linear,
    Scored,
    describe_page,
    doubts,
)
from benben.pipeline.page.score.surroundings import NO_WEIGHTS
from benchmarks.extraction.content_score_data import Rows, rows
from benchmarks.extraction.word_weights import word_weights
from benchmarks.support.data import ROOT
from benchmarks.support.gold import LABELLED, token_f1
from benchmarks.support.network import Example, Layer, fit, fit_linear

PATH = ROOT / "pipeline" / "page" / "score" / "content_score.npz"
FOLDS = 5
HIDDEN = (32, 16)
CUT_FACTOR = 0.8  # these two: the best of a few by cross-validation
EVENNESS = 0.5
SEED = 0
TYPE_PENALTY, CONFIDENCE_PENALTY = 0.02, 0.001


class Tested(NamedTuple):
    """What a model that saw no page of its domain makes of a page."""

    page: Rows
    found: Scored
    types: Floats
    text: str

    @property
    def f1(self) -> float:
        return token_f1(self.text, self.page.page.text)


def fold(domain: str) -> int:
    """Fold of a registered domain; all its pages lie in one."""
    return crc32(domain.encode()) % FOLDS


def without(pages: Sequence[Rows], number: int) -> list[Rows]:
    """Return the pages that are not in a fold."""
    return [page for page in pages if fold(page.page.domain) != number]


def describe(page: Rows) -> Floats:
    """Features of the page, for its type; the weights of words are none of them."""
    blocks = page.describe(NO_WEIGHTS)
    return describe_page(blocks.rows, blocks.lengths, page.page.url)


def train_type(pages: Sequence[Rows]) -> Linear:
    """Fit the page type."""
    known = [page for page in pages if page.page.page_type in PAGE_TYPES]
    targets = np.array([[page.page.page_type == name for name in PAGE_TYPES] for page in known])
    features = np.array([describe(page) for page in known]).reshape(-1, len(PAGE_FEATURES))
    return _linear(fit_linear(features, targets, TYPE_PENALTY))


def types_of(pages: Sequence[Rows]) -> dict[str, Floats]:
    """Type of each page by a model that saw no page of its fold: as uncertain as in use."""
    found = {}
    for number in range(FOLDS):
        model = _blank(train_type(without(pages, number)))
        for page in pages:
            if fold(page.page.domain) == number:
                found[page.page.name] = model.types(describe(page))
    return found


class WordWeights:
    """Weights of words, of pages that lie in no fold of a set: fitted when they are asked for."""

    def __init__(self, pages: Sequence[Rows]) -> None:
        self._pages = pages
        self._found: dict[frozenset[int], Table] = {}

    def __call__(self, *hidden: int) -> Table:
        key = frozenset(hidden)
        if key not in self._found:
            seen = [page for page in self._pages if fold(page.page.domain) not in key]
            self._found[key] = word_weights(seen)
        return self._found[key]


def train(
    pages: Sequence[Rows], types: Mapping[str, Floats], words: WordWeights, *hidden: int
) -> ContentModel:
    """Fit the network and the page type; the confidence is fitted on cross-validated pages.

    `hidden`: folds that the model sees no page of. It learns from each page as weights of words
    describe it that saw no page of its fold either.
    """
    seen = [page for page in pages if fold(page.page.domain) not in hidden]
    examples = [
        _example(page, types[page.page.name], words(*hidden, fold(page.page.domain)))
        for page in seen
    ]
    model = _blank(train_type(seen))
    model.layers = [_linear(layer) for layer in fit(examples, HIDDEN, SEED)]
    model.words = words(*hidden)
    return model


def _example(page: Rows, types: Floats, words: Table) -> Example:
    """Labelled blocks; of a page with snippets alone, most are not."""
    used = page.weights > 0
    inputs = page.describe(words).rows[used]
    inputs = np.concatenate([inputs, np.tile(types, (len(inputs), 1))], axis=1, dtype=np.float32)
    lengths = page.lengths[used]
    return Example(
        inputs, page.labels[used], page.weights[used], lengths, complete=bool(page.page.text)
    )


def _blank(page_type: Linear) -> ContentModel:
    trust = Linear(np.zeros((DOUBT + len(PAGE_TYPES), 1)), np.zeros(1))
    return ContentModel([], page_type, trust, CUT_FACTOR, EVENNESS, NO_WEIGHTS)


def _linear(layer: Layer) -> Linear:
    return Linear(layer.weights, layer.bias)


def fold_models(pages: Sequence[Rows]) -> Iterator[tuple[int, ContentModel]]:
    """Yield each fold and a model that saw no page of it; the models have no confidence yet."""
    types, words = types_of(pages), WordWeights(pages)
    for number in range(FOLDS):
        yield number, train(pages, types, words, number)


def cross_validate(pages: Sequence[Rows]) -> Iterator[Tested]:
    """Yield each page as a model sees it that saw no page of its domain."""
    for number, model in fold_models(pages):
        for page in pages:
            if fold(page.page.domain) == number:
                found = model.read(page.describe(model.words), page.page.url)
                yield Tested(page, found, model.types(describe(page)), main_text(page, found))


def main_text(page: Rows, found: Scored) -> str:
    """Text of the blocks at or above one half."""
    return "\n".join(t for t, score in zip(page.texts, found.scores, strict=True) if score >= 0.5)


def train_confidence(tested: Sequence[Tested]) -> Linear:
    """Fit the confidence to the token F1 of pages that the models had not seen."""
    inputs = np.array(
        [[*doubts(page.found.scores, page.page.lengths), *page.types] for page in tested]
    )
    targets = np.array([[page.f1] for page in tested])
    return _linear(fit_linear(inputs, targets, CONFIDENCE_PENALTY))


def confidences(tested: Sequence[Tested]) -> list[float]:
    """Confidence of each page, by a model fitted on pages of other folds."""
    found = []
    models = [
        train_confidence([page for page in tested if fold(page.page.page.domain) != number])
        for number in range(FOLDS)
    ]
    for page in tested:
        weights, bias = models[fold(page.page.page.domain)]
        doubt = doubts(page.found.scores, page.page.lengths)
        odds = np.concatenate([doubt, page.types]) @ weights + bias
        found.append(float(1 / (1 + np.exp(-odds[0]))))
    return found


def report(tested: Sequence[Tested]) -> None:
    """Print token F1, how often the type is right, and what the confidence is worth."""
    gold = [page for page in tested if page.page.page.text]
    f1 = np.array([page.f1 for page in gold])
    print(f"token F1, cross-validated by domain: {f1.mean():.4f}")
    for name in PAGE_TYPES:
        of_type = [page.page.page.page_type == name for page in gold]
        if any(of_type):
            print(f"  {name:14} {f1[of_type].mean():.4f}  of {sum(of_type)} pages")
    right = [page.found.page_type == page.page.page.page_type for page in gold]
    print(f"page type right: {np.mean(right):.3f}")
    order = np.argsort(confidences(gold))
    tenth = max(1, len(order) // 10)
    means = [f1[part].mean() for part in (order[:tenth], order[-tenth:])]
    print(f"token F1 of the tenth of the pages with the least confidence: {means[0]:.3f}, "
          f"with the most: {means[1]:.3f}")  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="cross-validate and write nothing")
    arguments = parser.parse_args()
    pages = rows(LABELLED)
    print(f"{len(pages)} pages, {sum(len(page.texts) for page in pages)} blocks")
    tested = list(cross_validate(pages))
    report(tested)
    if not arguments.check:
        model = train(pages, types_of(pages), WordWeights(pages))
        model.confidence = train_confidence([page for page in tested if page.page.page.text])
        np.savez_compressed(PATH, **model.arrays())
        print(f"wrote {PATH}")


if __name__ == "__main__":
    main()
