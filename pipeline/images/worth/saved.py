"""A trained model of image worth as bytes: arrays of an .npz file, read without pickle."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from benben.pipeline.images.worth.model import Model, Space
from benben.pipeline.images.worth.vectors import Picture, Scaling

NAME = "worth.npz"


def to_bytes(model: Model) -> bytes:
    """Return a model's bytes; equal models give equal bytes."""
    arrays: dict[str, Any] = {
        "words": model.scaling.words, "spreads": model.scaling.spreads, "grams": model.grams,
        "weights": model.weights,
    }  # fmt: skip
    arrays |= {f"means.{number}": mean for number, mean in enumerate(model.scaling.means)}
    for fold, space in enumerate(model.spaces):
        arrays |= {f"space.{fold}.{name}": getattr(space, name) for name in Space.__slots__}
    for number, one in enumerate(model.references):
        arrays[f"reference.{number}.sha256"] = np.frombuffer(one.sha256.encode(), np.uint8)
        arrays[f"reference.{number}.grams"] = one.grams
        arrays |= {f"reference.{number}.{group}": v for group, v in enumerate(one.groups)}
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def from_bytes(data: bytes) -> Model:
    """Return the model of bytes that `to_bytes` made."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        groups = sum(name.startswith("means.") for name in arrays.files)
        means = tuple(arrays[f"means.{number}"] for number in range(groups))
        folds = len({name.split(".")[1] for name in arrays.files if name.startswith("space.")})
        spaces = [
            Space(*(arrays[f"space.{fold}.{name}"] for name in Space.__slots__))
            for fold in range(folds)
        ]
        number = sum(name.endswith(".sha256") for name in arrays.files)
        references = [
            Picture(
                arrays[f"reference.{place}.sha256"].tobytes().decode(),
                arrays[f"reference.{place}.grams"],
                tuple(arrays[f"reference.{place}.{group}"] for group in range(groups)),
            )
            for place in range(number)
        ]
        scaling = Scaling(means, arrays["spreads"], arrays["words"])
        return Model(scaling, arrays["grams"], spaces, references, arrays["weights"])
