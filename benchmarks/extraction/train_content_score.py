"""Train the content score on the human gold data and write its weights.

python -m benchmarks.train_content_score            cross-validate by domain, then train on all
python -m benchmarks.train_content_score --check    cross-validate only
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np

from benben.pipeline.page.score.content_score import ContentModel
from benben.pipeline.page.score.features import FEATURES
from benchmarks.extraction.content_score_data import Rows, rows
from benchmarks.support.data import ROOT
from benchmarks.support.gold import LABELLED, token_f1
from benchmarks.support.network import fit

PATH = ROOT / "pipeline" / "page" / "score" / "content_score.npz"
FOLDS = 5
HIDDEN = (32, 16)
CUT_FACTOR = 0.7  # these two: the best of a few by cross-validation
EVENNESS = 0.8
_LEAST_DEVIATION = 0.02  # rare features are not blown up


def fold(domain: str) -> int:
    """Fold of a registered domain; all its pages lie in one."""
    return crc32(domain.encode()) % FOLDS


def train(pages: Sequence[Rows], seed: int = 0) -> ContentModel:
    """Fit the network; the inputs' scaling becomes part of the first layer."""
    inputs = np.concatenate([page.blocks.rows for page in pages])
    labels = np.concatenate([page.labels for page in pages]) >= 0.5
    weights = np.concatenate([page.weights for page in pages])
    mean = inputs.mean(axis=0)
    deviation = inputs.std(axis=0) + _LEAST_DEVIATION
    network = fit((inputs - mean) / deviation, labels, weights / weights.mean(), HIDDEN, seed)
    first, bias = network[0]
    network[0] = first / deviation[:, None], bias - (mean / deviation) @ first
    return ContentModel(network, CUT_FACTOR, EVENNESS)


def cross_validate(pages: Sequence[Rows]) -> dict[str, str]:
    """Main text of each page under a model that saw no page of its domain."""
    texts: dict[str, str] = {}
    for number in range(FOLDS):
        model = train([page for page in pages if fold(page.page.domain) != number])
        for tested in pages:
            if fold(tested.page.domain) == number:
                texts[tested.page.name] = main_text(model, tested)
    return texts


def main_text(model: ContentModel, page: Rows) -> str:
    """Text of the blocks at or above one half."""
    scores = model.scores(page.blocks)
    return "\n".join(t for t, score in zip(page.texts, scores, strict=True) if score >= 0.5)


def save(model: ContentModel) -> None:
    """Write the weights as data of the package."""
    arrays: dict[str, Any] = {f"weights{n}": w for n, (w, _) in enumerate(model.layers)}
    arrays |= {f"bias{n}": bias for n, (_, bias) in enumerate(model.layers)}
    np.savez_compressed(
        PATH,
        features=np.array(FEATURES),
        layers=np.array(len(model.layers)),
        cut_factor=np.array(model.cut_factor),
        evenness=np.array(model.evenness),
        **arrays,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="cross-validate and write nothing")
    arguments = parser.parse_args()
    pages = rows(LABELLED)
    print(f"{len(pages)} pages, {sum(len(page.texts) for page in pages)} blocks")
    texts = cross_validate(pages)
    gold = [page.page for page in pages if page.page.text]
    scores = [token_f1(texts[page.name], page.text) for page in gold]
    print(f"token F1, cross-validated by domain: {np.mean(scores):.4f}")
    if not arguments.check:
        save(train(pages))
        print(f"wrote {PATH}")


if __name__ == "__main__":
    main()
