from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from benben.trainer.distributed.shards import parameters
from benben.trainer.model import foreign_config, huggingface
from benben.trainer.model.batch import Pack, to_batch
from benben.trainer.model.decoder import alibi_slopes
from benben.trainer.model.foreign_config import FormatError
from benben.trainer.model.vlm import VLM, initialise
from benben.trainer.settings import LMConfig, ModelConfig

LENGTHS = (9, 14)


def llama(**changes: object) -> transformers.PreTrainedModel:
    sizes = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 101}
    config = transformers.LlamaConfig(**sizes, **heads, **changes)
    return transformers.LlamaForCausalLM(config)


def other(name: str, **changes: object) -> transformers.PreTrainedModel:
    sizes = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 101}
    config = getattr(transformers, f"{name}Config")(**{**sizes, **heads, **changes})
    return getattr(transformers, f"{name}ForCausalLM")(config)


def bloom(heads: int = 6) -> transformers.PreTrainedModel:
    config = transformers.BloomConfig(
        hidden_size=8 * heads, n_layer=2, n_head=heads, vocab_size=101
    )
    return transformers.BloomForCausalLM(config)


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
MODELS = {
    "llama": llama,
    "llama-tied": lambda: llama(tie_word_embeddings=True),
    "llama-3.1": lambda: llama(rope_parameters=LLAMA3),
    "mistral": lambda: other("Mistral", sliding_window=None, head_dim=16),
    "qwen2": lambda: other("Qwen2"),
    "qwen3": lambda: other("Qwen3", head_dim=16),
    "smollm3": lambda: other("SmolLM3", num_hidden_layers=4, pad_token_id=None),
    "gemma": lambda: other("Gemma", head_dim=16),
    "bloom": bloom,
    "bloom-uneven-heads": lambda: bloom(12),
}


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_hugging_faces_in_and_out(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = MODELS[name]().eval()
    for parameter in theirs.parameters():  # biases and norms at their defaults would hide mistakes
        parameter.data += 0.1 * torch.randn_like(parameter)
    theirs.save_pretrained(tmp_path / "in")
    lm = LMConfig(huggingface=str(tmp_path / "in"), vocab_multiple=16)
    lm = foreign_config.decoder_config(lm)
    model = VLM(ModelConfig(lm=lm, vision=None))
    initialise(model)
    huggingface.load_decoder(model, str(tmp_path / "in"))
    ids = np.random.default_rng(0).integers(0, 101, sum(LENGTHS))
    pack = Pack(ids, ids, LENGTHS, np.zeros((0, 3, 8, 8), np.float32), ())
    with torch.no_grad():
        ours = model(to_batch(pack, model.fusion.spans(pack)), want="logits")
        alone = [theirs(torch.tensor(part)[None]).logits[0] for part in np.split(ids, LENGTHS[:1])]
    assert float((ours - torch.cat(alone)).abs().max()) <= 1e-5

    huggingface.export(lm, {n: p.detach() for n, p in parameters(model)}, tmp_path / "out")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        logits = again(torch.tensor(ids[: LENGTHS[0]])[None]).logits[0]
    if name == "gemma":  # its norms' weights lost a bit when one was added
        assert float((logits - alone[0]).abs().max()) <= 1e-5
    else:
        assert torch.equal(logits, alone[0])


@pytest.mark.parametrize("heads", [8, 12, 16, 112])
def test_slopes_are_blooms(heads: int) -> None:
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    theirs = build_alibi_tensor(torch.ones(1, 2, dtype=torch.long), heads, torch.float32)
    assert torch.allclose(theirs[:, 0, 1], torch.tensor(alibi_slopes(heads)), rtol=1e-6, atol=0)


def test_other_architectures_are_refused() -> None:
    with pytest.raises(FormatError, match="gpt2"):
        foreign_config.from_config({"model_type": "gpt2"})
    mixed = LMConfig(vocab_size=10, positions="alibi")
    with pytest.raises(FormatError, match="neither"):
        foreign_config.kind_of(mixed)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mlp_bias": True}, "llama: fields that are not supported: mlp_bias=True"),
        ({"attention_bias": True}, "attention_bias=True"),
        ({"hidden_act": "gelu"}, "hidden_act='gelu'"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope rope_type='yarn'"),
        ({"model_type": "mistral", "sliding_window": 4096}, "sliding_window=4096"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"residual_multiplier": 0.2}, "residual_multiplier=0.2"),
        ({"model_type": "qwen2", "layer_types": ["sliding_attention"] * 2}, "layer_types"),
        (
            {"model_type": "bloom", "apply_residual_connection_post_layernorm": True},
            "apply_residual_connection_post_layernorm=True",
        ),
    ],
)
def test_what_is_not_understood_is_refused(changes: dict[str, object], told: str) -> None:
    known = llama().config.to_dict()
    assert foreign_config.from_config(known).hidden == 48
    with pytest.raises(FormatError, match=re.escape(told)):
        foreign_config.from_config({**known, **changes})


def test_switches_change_only_their_parameters() -> None:
    plain = VLM(ModelConfig(lm=LMConfig(vocab_size=100), vision=None))
    normed = VLM(ModelConfig(lm=LMConfig(vocab_size=100, embed_norm=True), vision=None))
    count = [sum(p.numel() for p in m.parameters()) for m in (plain, normed)]
    assert count[1] - count[0] == plain.config.lm.hidden  # an RMSNorm's weight
