"""A small run's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benben.trainer.settings import Config


def settings(made: Path, folder: Path, **changes: dict[str, Any]) -> Config:
    """A tiny model on the made dataset; sections of `changes` are laid over it."""
    data: dict[str, dict[str, Any]] = {
        "model": {
            "lm": {"hidden": 32, "heads": 4, "layers": 2},
            "vision": {"hidden": 32, "heads": 2},
        },
        "data": {
            "mix": [{"path": str(made / "data"), "images": str(made / "images")}],
            "tokenizer_vocab": 300,
            "seq_len": 128,
            "window": 16,
            "lanes": 4,
        },
        "optim": {"batch_packs": 4, "lr": 1e-3},
        "checkpoint": {"dir": str(folder), "every": 1000},
        "run": {"device": "cpu", "tensorboard": False, "eval_packs": 0, "micro_packs": 4},
    }
    for section, values in changes.items():
        data[section] = {**data.get(section, {}), **values}
    return Config.model_validate(data)
