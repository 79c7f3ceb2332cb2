"""Reads and writes Llama and BLOOM weights in Hugging Face's format.

Only names and BLOOM's fused query-key-value matrix differ; rotary halves follow Hugging Face.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from benben.common.errors import UserError
from benben.trainer.distributed.shards import copy_full, parameters
from benben.trainer.model.vlm import VLM, group_of
from benben.trainer.settings import LMConfig

LLAMA = {
    "lm.embed.weight": "model.embed_tokens.weight",
    "lm.norm.weight": "model.norm.weight",
    "lm.head.weight": "lm_head.weight",
    "norm1": "input_layernorm",
    "norm2": "post_attention_layernorm",
    **{f"attn.{x}": f"self_attn.{x}_proj" for x in "qkvo"},
    **{f"mlp.{x}": f"mlp.{x}_proj" for x in ("gate", "up", "down")},
}
BLOOM = {
    "lm.embed.weight": "transformer.word_embeddings.weight",
    "lm.embed_norm.weight": "transformer.word_embeddings_layernorm.weight",
    "lm.embed_norm.bias": "transformer.word_embeddings_layernorm.bias",
    "lm.norm.weight": "transformer.ln_f.weight",
    "lm.norm.bias": "transformer.ln_f.bias",
    "norm1": "input_layernorm",
    "norm2": "post_attention_layernorm",
    **{f"attn.{x}": "self_attention.query_key_value" for x in "qkv"},
    "attn.o": "self_attention.dense",
    "mlp.up": "mlp.dense_h_to_4h",
    "mlp.down": "mlp.dense_4h_to_h",
}
KINDS = {"llama": (LLAMA, "model.layers"), "bloom": (BLOOM, "transformer.h")}


class FormatError(UserError):
    """A model is neither a Llama nor a BLOOM; the message says what was found."""


def find(name: str) -> Path:
    """Return the folder of a local or hub model."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))


def decoder_config(config: LMConfig) -> LMConfig:
    """Return the settings of the published decoder that `config.huggingface` names."""
    assert config.huggingface is not None
    found = from_config(json.loads((find(config.huggingface) / "config.json").read_text()))
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
        raise FormatError(f"model_type {kind!r}: known are {', '.join(KINDS)}")
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


def foreign_name(name: str, kind: str) -> tuple[str, int | None]:
    """Return Hugging Face's name and, for BLOOM's fused matrix, which of q, k, v it is."""
    table, layers = KINDS[kind]
    if name in table:
        return table[name], None
    number, rest = name.removeprefix("lm.layers.").split(".", 1)
    stem, leaf = rest.rsplit(".", 1)
    part = "qkv".find(stem[-1]) if kind == "bloom" and stem[:-1] == "attn." else -1
    return f"{layers}.{number}.{table[stem]}.{leaf}", part if part >= 0 else None


class Weights:
    """Tensors of a model folder, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.where: dict[str, Path] = {}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as tensors:
                self.where |= dict.fromkeys(tensors.keys(), file)
        if not self.where:
            raise FormatError(f"{folder}: no safetensors")

    def read(self, name: str) -> Tensor:
        """Return a tensor; the prefix of the model's body may be missing."""
        for known in (name, name.split(".", 1)[-1]):
            if known in self.where:
                with safe_open(self.where[known], "pt") as tensors:
                    return tensors.get_tensor(known)
        raise FormatError(f"no tensor {name}")


def load_decoder(model: VLM, name: str) -> None:
    """Fill the decoder from published weights; rows beyond their vocabulary stay as they are."""
    weights, config = Weights(find(name)), model.config.lm
    kind = kind_of(config)
    for own, parameter in parameters(model):
        if group_of(own) != "lm":
            continue
        foreign, part = foreign_name(own, kind)
        full = weights.read(foreign)
        if part is not None:
            full = full.unflatten(0, (config.heads, 3, config.dim))[:, part].flatten(0, 1)
        if own in ("lm.embed.weight", "lm.head.weight") and len(full) < parameter.shape[0]:
            extra = parameter.shape[0] - len(full)
            added = full.float().mean(0, keepdim=True).to(full.dtype).expand(extra, -1).clone()
            added[max(config.vocab_size - len(full), 0) :] = 0
            full = torch.cat([full, added])
        copy_full(parameter, full.to(parameter.dtype))


def export(config: LMConfig, state: Mapping[str, Tensor], folder: Path) -> None:
    """Write `config.json` and `model.safetensors` that transformers' auto classes load.

    `state`: whole tensors by our names. Padding of the vocabulary is cut off.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = dict(_foreign(config, state))
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(to_config(config, dtype), indent=1))


def _foreign(config: LMConfig, state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    kind = kind_of(config)
    fused: dict[str, dict[int, Tensor]] = {}
    for own, tensor in state.items():
        if group_of(own) != "lm":
            continue
        foreign, part = foreign_name(own, kind)
        if own in ("lm.embed.weight", "lm.head.weight"):
            tensor = tensor[: config.vocab_size]
        if part is None:
            yield foreign, tensor.contiguous()
            continue
        parts = fused.setdefault(foreign, {})
        parts[part] = tensor.unflatten(0, (config.heads, config.dim))
        if len(parts) == 3:
            joined = torch.stack([parts[i] for i in range(3)], 1)
            yield foreign, joined.flatten(0, 2).contiguous()
