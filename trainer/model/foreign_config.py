"""Translates `config.json` of Hugging Face's models to our settings and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benben.common.errors import UserError
from benben.trainer.settings import LMConfig, VisionConfig

DECODERS = ("llama", "bloom")
TOWERS = {"siglip": "siglip_vision_model", "clip": "clip_vision_model"}


class FormatError(UserError):
    """A model is neither a Llama nor a BLOOM; the message says what was found."""


def read_config(name: str) -> dict[str, Any]:
    """Return the `config.json` of a local or hub model. Raises FormatError if there is none."""
    try:
        if Path(name).is_dir():
            file = Path(name) / "config.json"
        elif name.startswith((".", "/", "~")) or name.count("/") != 1:
            raise FormatError(f"{name}: no such folder, nor a name such as OWNER/MODEL")
        else:
            from huggingface_hub import hf_hub_download

            file = Path(hf_hub_download(name, "config.json"))
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError) as error:
        raise FormatError(f"{name}: no readable config.json ({_first(error)})") from None


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def tower_sizes(config: VisionConfig) -> dict[str, Any]:
    """Return the sizes of the published image encoder that `config.huggingface` names.

    Raises FormatError where it is not of `config.family`.
    """
    assert config.huggingface is not None
    found = read_config(config.huggingface)
    inner = {**found, **(found.get("vision_config") or {})}
    kind = str(found.get("model_type"))
    if kind not in (config.family, TOWERS[config.family]):
        family = next((f for f in TOWERS if kind in (f, TOWERS[f])), None)
        told = f"set vision.family={family}" if family else f"known are {' and '.join(TOWERS)}"
        raise FormatError(f"{config.huggingface}: a {kind}, not a {config.family}: {told}")
    names = {
        "image_size": ("image_size", 224),
        "patch_size": ("patch_size", 32 if config.family == "clip" else 16),
        "hidden": ("hidden_size", 768),
        "intermediate": ("intermediate_size", 3072),
        "layers": ("num_hidden_layers", 12),
        "heads": ("num_attention_heads", 12),
    }  # the defaults are those of transformers, which leaves equal ones out of the file
    return {own: int(inner.get(name, default)) for own, (name, default) in names.items()}


def decoder_config(config: LMConfig) -> LMConfig:
    """Return the settings of the published decoder that `config.huggingface` names."""
    assert config.huggingface is not None
    found = from_config(read_config(config.huggingface))
    changes = {"huggingface": config.huggingface, "vocab_multiple": config.vocab_multiple}
    return found.model_copy(update=changes)


def from_config(hf: Mapping[str, Any]) -> LMConfig:
    """Translate a `config.json`. Raises FormatError for other architectures."""
    kind = hf.get("model_type")
    if kind == "bloom":
        return LMConfig(
            vocab_size=hf["vocab_size"],
            hidden=hf.get("hidden_size") or hf["n_embed"],
            layers=hf.get("n_layer") or hf["num_hidden_layers"],
            heads=hf.get("n_head") or hf["num_attention_heads"],
            positions="alibi",
            activation="gelu",
            norm="layernorm",
            norm_eps=hf.get("layer_norm_epsilon", 1e-5),
            bias=True,
            embed_norm=True,
            tie=True,
        )
    if kind != "llama":
        raise FormatError(f"model_type {kind!r}: known are {', '.join(DECODERS)}")
    rope = hf.get("rope_parameters") or hf.get("rope_scaling") or {}
    scaled = rope.get("rope_type", "default")
    if scaled not in ("default", "llama3") or hf.get("attention_bias"):
        raise FormatError(f"llama with rope type {scaled!r} or attention bias is not supported")
    keys = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    return LMConfig(
        vocab_size=hf["vocab_size"],
        hidden=hf["hidden_size"],
        layers=hf["num_hidden_layers"],
        heads=hf["num_attention_heads"],
        kv_heads=hf.get("num_key_value_heads"),
        head_dim=hf.get("head_dim"),
        intermediate=hf["intermediate_size"],
        rope_theta=rope.get("rope_theta") or hf.get("rope_theta", 10000.0),
        rope_scaling={k: float(rope[k]) for k in keys} if scaled == "llama3" else None,
        norm_eps=hf["rms_norm_eps"],
        tie=hf.get("tie_word_embeddings", False),
    )


def kind_of(config: LMConfig) -> str:
    """Return the published architecture that the settings describe. Raises FormatError if none."""
    shape = (config.positions, config.activation, config.norm, config.bias, config.embed_norm)
    if shape == ("rope", "swiglu", "rmsnorm", False, False):
        return "llama"
    if shape == ("alibi", "gelu", "layernorm", True, True) and config.tie:
        return "bloom"
    raise FormatError("these switches are neither Llama's nor BLOOM's: " + str(shape))


def to_config(config: LMConfig, dtype: str = "float32") -> dict[str, Any]:
    """Return the `config.json` of the settings."""
    if kind_of(config) == "bloom":
        return {
            "model_type": "bloom",
            "architectures": ["BloomForCausalLM"],
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden,
            "n_layer": config.layers,
            "n_head": config.heads,
            "layer_norm_epsilon": config.norm_eps,
            "tie_word_embeddings": True,
            "torch_dtype": dtype,
        }
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_scaling:
        rope |= {"rope_type": "llama3", **config.rope_scaling}
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "intermediate_size": config.ffn,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv,
        "head_dim": config.dim,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": rope,
        "rope_scaling": rope if config.rope_scaling else None,
        "tie_word_embeddings": config.tie,
        "torch_dtype": dtype,
    }
