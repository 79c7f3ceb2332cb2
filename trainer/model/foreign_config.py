"""Translates `config.json` of Hugging Face's models to our settings and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benben.common.errors import UserError
from benben.trainer.settings import LMConfig, VisionConfig

CLASSES = {
    "llama": "Llama",
    "mistral": "Mistral",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "smollm3": "SmolLM3",
    "gemma": "Gemma",
    "bloom": "Bloom",
}
DECODERS = tuple(CLASSES)
# Values that transformers leaves out of a file where they are the default.
ROPE_THETA = {"smollm3": 2000000.0}
TIED = ("gemma", "smollm3")
ACTIVATIONS: dict[str, dict[str, tuple[Any, ...]]] = {
    # Old files of Gemma say "gelu", and were always run with the tanh approximation.
    "gemma": dict.fromkeys(("hidden_act", "hidden_activation"), ("gelu_pytorch_tanh", "gelu")),
    "bloom": {"apply_residual_connection_post_layernorm": (False,), "hidden_dropout": (0.0, 0)},
}
# Fields that are read, or say nothing of the decoder's computation.
READ = frozenset(
    [
        "model_type",
        "vocab_size",
        "hidden_size",
        "n_embed",
        "n_layer",
        "num_hidden_layers",
        "n_head",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "intermediate_size",
        "rope_parameters",
        "rope_scaling",
        "rope_theta",
        "rms_norm_eps",
        "layer_norm_epsilon",
        "tie_word_embeddings",
        "no_rope_layers",
        "no_rope_layer_interval",
        "max_position_embeddings",
        "max_window_layers",
        "seq_length",
        "architectures",
        "transformers_version",
        "torch_dtype",
        "dtype",
        "use_cache",
        "initializer_range",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "unk_token_id",
        "sep_token_id",
        "id2label",
        "label2id",
        "problem_type",
        "_name_or_path",
        "return_dict",
        "output_hidden_states",
        "output_attentions",
        "chunk_size_feed_forward",
        "pretraining_tp",
        "slow_but_exact",
        "attention_softmax_in_fp32",
        "masked_softmax_fusion",
        "bias_dropout_fusion",
        "skip_bias_add",
        "skip_bias_add_qkv",
        "offset_alibi",
        "n_inner",
        "is_llama_config",
        "transformers.js_config",
        "use_sliding_window",
        "pretraining_pp",
        "_flash_attn_2_enabled",
        "_attn_implementation_autoset",
        "unsloth_fixed",
        "auto_map",
    ]
) | {
    *("rope rope_theta", "rope factor", "rope low_freq_factor", "rope high_freq_factor"),
    "rope original_max_position_embeddings",
}
# Fields with the values that the decoder computes; an empty tuple allows all.
ALLOWED: dict[str, tuple[Any, ...]] = {
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "attention_dropout": (0.0, 0),
    "is_encoder_decoder": (False,),
    "rope_interleaved": (False,),
    "layer_types": ("full_attention",),
    "use_bidirectional_attention": (False,),
    "rope rope_type": ("default", "llama3"),
    "rope type": ("default", "llama3"),
    "rope partial_rotary_factor": (1.0, 1),
}
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
    """Translate a `config.json`.

    Raises FormatError for other architectures, and for fields that are unknown or have a value
    that the decoder has no switch for: what is not understood is never left out silently.
    """
    kind = hf.get("model_type")
    if kind not in DECODERS:
        raise FormatError(f"model_type {kind!r}: known are {', '.join(DECODERS)}")
    _refuse_unknown(kind, hf)
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
    rope = hf.get("rope_parameters") or hf.get("rope_scaling") or {}
    scaled = rope.get("rope_type", rope.get("type", "default"))
    keys = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    return LMConfig(
        vocab_size=hf["vocab_size"],
        hidden=hf["hidden_size"],
        layers=hf["num_hidden_layers"],
        heads=hf["num_attention_heads"],
        kv_heads=hf.get("num_key_value_heads"),
        head_dim=hf.get("head_dim"),
        intermediate=hf["intermediate_size"],
        rope_theta=rope.get("rope_theta") or hf.get("rope_theta", ROPE_THETA.get(kind, 10000.0)),
        rope_scaling={k: float(rope[k]) for k in keys} if scaled == "llama3" else None,
        norm_eps=hf["rms_norm_eps"],
        tie=hf.get("tie_word_embeddings", kind in TIED),
        **_switches(kind, hf),
    )


def _switches(kind: str, hf: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a decoder has beside Llama's."""
    if kind == "qwen2":
        return {"qkv_bias": True}
    if kind == "qwen3":
        return {"qk_norm": True}
    if kind == "gemma":
        return {"activation": "geglu", "embed_scale": hf["hidden_size"] ** 0.5}
    if kind == "smollm3":
        every = hf.get("no_rope_layer_interval", 4)
        used = hf.get("no_rope_layers") or [  # 1: the layer rotates
            int((layer + 1) % every != 0) for layer in range(hf["num_hidden_layers"])
        ]
        return {"no_rope_layers": [layer for layer, rotates in enumerate(used) if not rotates]}
    return {}


def _refuse_unknown(kind: str, hf: Mapping[str, Any]) -> None:
    allowed = {**ALLOWED, **ACTIVATIONS.get(kind, {"hidden_act": ("silu",)})}
    window = hf.get("sliding_window") if hf.get("use_sliding_window", True) else None
    rope = {**(hf.get("rope_scaling") or {}), **(hf.get("rope_parameters") or {})}
    found = {**hf, "sliding_window": window}
    found |= {f"rope {key}": value for key, value in rope.items()}
    wrong = [
        f"{name}={value!r}"
        for name, value in found.items()
        if name not in READ
        and value is not None
        and (name not in allowed or (allowed[name] and not _is_in(value, allowed[name])))
    ]
    if wrong:
        raise FormatError(f"{kind}: fields that are not supported: {', '.join(sorted(wrong))}")


def _is_in(value: Any, allowed: tuple[Any, ...]) -> bool:
    return all(one in allowed for one in value) if isinstance(value, list) else value in allowed


def kind_of(config: LMConfig) -> str:
    """Return the published architecture that the settings describe. Raises FormatError if none."""
    shape = (config.positions, config.norm, config.bias, config.embed_norm, config.activation)
    extra = (config.qkv_bias, config.qk_norm, bool(config.no_rope_layers))
    scaled = config.embed_scale != 1.0
    if shape == ("rope", "rmsnorm", False, False, "swiglu") and not scaled:
        kinds = {
            (False, False, False): "llama",
            (True, False, False): "qwen2",
            (False, True, False): "qwen3",
            (False, False, True): "smollm3",
        }
        if extra in kinds:
            return kinds[extra]
    if not any(extra):
        gemma = abs(config.embed_scale - config.hidden**0.5) < 1e-6
        if shape == ("rope", "rmsnorm", False, False, "geglu") and gemma:
            return "gemma"
        if shape == ("alibi", "layernorm", True, True, "gelu") and config.tie and not scaled:
            return "bloom"
    raise FormatError(f"these switches are neither of {', '.join(DECODERS)}: {(*shape, *extra)}")


def to_config(config: LMConfig, dtype: str = "float32") -> dict[str, Any]:
    """Return the `config.json` of the settings."""
    kind = kind_of(config)
    shared = {
        "model_type": kind,
        "architectures": [f"{CLASSES[kind]}ForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "tie_word_embeddings": config.tie,
        "torch_dtype": dtype,
        "pad_token_id": None,  # the default of transformers may lie beyond the vocabulary
    }
    if kind == "bloom":
        return shared | {
            "n_layer": config.layers,
            "n_head": config.heads,
            "layer_norm_epsilon": config.norm_eps,
        }
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_scaling:
        rope |= {"rope_type": "llama3", **config.rope_scaling}
    lacking = [int(layer not in config.no_rope_layers) for layer in range(config.layers)]
    own: dict[str, dict[str, Any]] = {
        "smollm3": {"no_rope_layers": lacking},
        "gemma": {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"},
    }
    return shared | {
        "intermediate_size": config.ffn,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv,
        "head_dim": config.dim,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": rope,
        "rope_scaling": rope if config.rope_scaling else None,
        **own.get(kind, {}),
    }
