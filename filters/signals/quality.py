"""Quality classifiers by path: a fastText model, or a linear one over hashed words.

A linear model is an `.npz` file (read without pickle) with `weights` (float, a power of two of
them) and `bias`: the probability is the logistic function of the bias and the mean weight of the
page's words, each word looking up the low bits of its hash.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benben.filters.signals.paragraphs import Paragraphs
from benben.filters.signals.text import Words
from benben.pipeline import language
from benben.pipeline.language import ModelError, local_model
from benben.pipeline.settings.signals import QualityModel


def score(
    text: Paragraphs, words: Words, pages: list[str], settings: QualityModel | None
) -> dict[str, NDArray[np.float64]]:
    """Column `quality`: the probability of the wanted label for each page."""
    if settings is None:
        return {}
    if settings.path.endswith(".npz"):
        return {"quality": _linear(text, words, load_linear(settings.path))}
    model = language.load(settings.path)
    return {"quality": np.array([_label_score(model, page, settings.label) for page in pages])}


def _label_score(model: object, page: str, label: str) -> float:
    found = model.f.predict(page.replace("\n", " "), -1, 0.0, "strict") if page.strip() else []  # type: ignore[attr-defined]
    return next((min(float(p), 1.0) for p, name in found if name == label), 0.0)


def _linear(
    text: Paragraphs, words: Words, model: tuple[NDArray[np.float64], float]
) -> NDArray[np.float64]:
    weights, bias = model
    slot = (words.hashes & np.uint64(len(weights) - 1)).astype(np.int64)
    document = text.document[words.paragraph]
    total = np.bincount(document, weights[slot], text.documents)
    number = np.bincount(document, minlength=text.documents)
    return np.asarray(1 / (1 + np.exp(-(bias + total / np.maximum(number, 1)))))


@lru_cache(maxsize=4)
def load_linear(path: str) -> tuple[NDArray[np.float64], float]:
    """Load a linear model once a process. Raises ModelError."""
    try:
        with np.load(local_model(path), allow_pickle=False) as arrays:
            weights, bias = arrays["weights"].astype(np.float64), float(arrays["bias"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: not a linear model with weights and bias ({error})") from None
    if weights.ndim != 1 or len(weights) & (len(weights) - 1) or not len(weights):
        raise ModelError(f"{path}: weights must be one row of a power of two numbers")
    return weights, bias
