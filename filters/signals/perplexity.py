"""Perplexity by a KenLM model, as CCNet measures it: pieces, a line a paragraph.

Log probabilities and pieces are stored, so a document's perplexity is that of the sum over the
paragraphs it keeps.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benben.filters.signals.paragraphs import Paragraphs
from benben.pipeline.language import ModelError, local_model
from benben.pipeline.settings.signals import PerplexityModel, SignalSettings

# CCNet's normalisation (Wenzek et al. 2020, text_normalizer), with its odd full-width 1
_PUNCTUATION = str.maketrans({
    "，": ",", "。": ".", "、": ",", "„": '"', "”": '"', "“": '"', "«": '"', "»": '"', "１": '"',
    "」": '"', "「": '"', "《": '"', "》": '"', "´": "'", "∶": ":", "：": ":", "？": "?", "！": "!",
    "（": "(", "）": ")", "；": ";", "–": "-", "—": " - ", "．": ". ", "～": "~", "’": "'",
    "…": "...", "━": "-", "〈": "<", "〉": ">", "【": "[", "】": "]", "％": "%", "►": "-",
})  # fmt: skip
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SPACES = re.compile(r"\s")


class LanguageModel:
    """A KenLM model and, as CCNet has it, the SentencePiece model of its pieces."""

    def __init__(self, settings: PerplexityModel) -> None:
        self._model = _load_kenlm(settings.path)
        self._pieces = _load_sentencepiece(settings.sentencepiece)

    def score(self, text: str) -> tuple[float, int]:
        """Log10 probability of a text as one line, and its pieces with the end of the line."""
        line = normalise(text)
        pieces = line.split() if self._pieces is None else self._pieces.encode_as_pieces(line)
        return float(self._model.score(" ".join(pieces))), len(pieces) + 1


def normalise(text: str) -> str:
    """One line, digits as 0, punctuation as in ASCII; case is kept (OBELICS)."""
    line = _SPACES.sub(" ", _CONTROL.sub("", text).strip())
    return re.sub(r"\d", "0", line).translate(_PUNCTUATION)


def signals(
    text: Paragraphs, languages: list[str], settings: SignalSettings
) -> dict[str, NDArray[np.float64]]:
    """Log probability and pieces of each paragraph; NaN where the language has no model."""
    if not settings.perplexity:
        return {}
    measured = np.full((2, len(text)), np.nan)
    for row, document in enumerate(text.document.tolist()):
        chosen = settings.perplexity.get(languages[document])
        if chosen is not None:
            paragraph = text.text[int(text.starts[row]) : int(text.ends[row])]
            measured[:, row] = load(chosen).score(paragraph)
    return {"log_probability": measured[0], "pieces": measured[1]}


@lru_cache(maxsize=64)
def load(settings: PerplexityModel) -> LanguageModel:
    """Load a model once a process. Raises ModelError."""
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
