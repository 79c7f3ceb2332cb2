"""Sizes of published models; known ones need no download."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import yaml

from benben.trainer.settings import Config, LMConfig, VisionConfig


@functools.cache
def _known() -> dict[str, Any]:
    text = (resources.files("benben.trainer.planning") / "published.yaml").read_text()
    return dict(yaml.safe_load(text))


def decoder(lm: LMConfig) -> LMConfig:
    """Return the decoder's sizes: from the table, else from its `config.json`."""
    if not lm.huggingface:
        return lm
    sizes = _known()["decoders"].get(lm.huggingface)
    if sizes:
        kept = lm.model_dump(include={"vocab_multiple", "init"})
        return LMConfig(**{**kept, **sizes})
    from benben.trainer.model import foreign_config

    return foreign_config.decoder_config(lm)


def tower(vision: VisionConfig | None) -> VisionConfig | None:
    """Return the tower's sizes: from the table, else from its `config.json`."""
    if vision is None or not vision.huggingface:
        return vision
    sizes = _known()["towers"].get(vision.huggingface)
    if sizes is None:
        from benben.trainer.model import foreign_config

        sizes = foreign_config.tower_sizes(vision)
    return vision.model_copy(update={**sizes, "huggingface": None})


def with_sizes(config: Config) -> Config:
    """Return the config with known sizes, and the tokenizer's vocabulary where none is given."""
    lm = decoder(config.model.lm)
    lm = lm.model_copy(update={"vocab_size": lm.vocab_size or config.data.tokenizer_vocab})
    model = config.model.model_copy(update={"lm": lm, "vision": tower(config.model.vision)})
    return config.model_copy(update={"model": model})


def is_known(lm: LMConfig) -> bool:
    """Whether the decoder's sizes are known without a download."""
    return not lm.huggingface or lm.huggingface in _known()["decoders"]
