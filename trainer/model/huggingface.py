"""Reads and writes published decoders' weights in Hugging Face's format.

Only names, BLOOM's fused query-key-value matrix and Gemma's norms differ; rotary halves follow
Hugging Face.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from benben.trainer.distributed.shards import copy_full, parameters
from benben.trainer.model.foreign_config import FormatError, kind_of, read_config, to_config
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
LLAMA |= {f"attn.norm_{x}": f"self_attn.{x}_norm" for x in "qk"}
KINDS = {"bloom": (BLOOM, "transformer.h")}  # all others have Llama's names


def find(name: str) -> Path:
    """Return the folder of a local or hub model."""
    read_config(name)  # whose messages say what is missing
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))


def foreign_name(name: str, kind: str) -> tuple[str, int | None]:
    """Return Hugging Face's name and, for BLOOM's fused matrix, which of q, k, v it is."""
    table, layers = KINDS.get(kind, (LLAMA, "model.layers"))
    if name in table:
        return table[name], None
    number, rest = name.removeprefix("lm.layers.").split(".", 1)
    stem, leaf = rest.rsplit(".", 1)
    part = "qkv".find(stem[-1]) if kind == "bloom" and stem[:-1] == "attn." else -1
    return f"{layers}.{number}.{table[stem]}.{leaf}", part if part >= 0 else None


def is_norm(name: str) -> bool:
    """Tell whether a parameter of the decoder is a norm's weight."""
    return "norm" in name.rsplit(".", 2)[-2]


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
        if kind == "gemma" and is_norm(own):
            full = full + 1  # its norms multiply by one plus the weight
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
    tensors = dict(foreign_tensors(config, state))
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(to_config(config, dtype), indent=1))


def foreign_tensors(config: LMConfig, state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the decoder's tensors by Hugging Face's names, without padding of the vocabulary."""
    kind = kind_of(config)
    fused: dict[str, dict[int, Tensor]] = {}
    for own, tensor in state.items():
        if group_of(own) != "lm":
            continue
        foreign, part = foreign_name(own, kind)
        if own in ("lm.embed.weight", "lm.head.weight"):
            tensor = tensor[: config.vocab_size]
        if kind == "gemma" and is_norm(own):
            tensor = tensor - 1
        if part is None:
            yield foreign, tensor.contiguous()
            continue
        parts = fused.setdefault(foreign, {})
        parts[part] = tensor.unflatten(0, (config.heads, config.dim))
        if len(parts) == 3:
            joined = torch.stack([parts[i] for i in range(3)], 1)
            yield foreign, joined.flatten(0, 2).contiguous()
