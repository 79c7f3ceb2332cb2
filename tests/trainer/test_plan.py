"""Memory bars, counted on fake tensors: no GPU, nothing allocated."""

from __future__ import annotations

import torch

from trainer.plan import loss_peak, parameter_count, step_memory
from trainer.settings import LMConfig, MemoryConfig, ModelConfig


def llama8b(layers: int, vocab: int = 128256) -> ModelConfig:
    lm = LMConfig(
        vocab_size=vocab, hidden=4096, layers=layers, heads=32, kv_heads=8, intermediate=14336
    )
    return ModelConfig(lm=lm, vision=None)


def test_tiled_loss_needs_a_tenth() -> None:
    untiled = loss_peak(65536, 128256, 4096, 0)
    assert untiled / loss_peak(65536, 128256, 4096, 2048) >= 10


def test_whole_layer_needs_at_most_065_with_tiles() -> None:
    """A Llama-8B layer at 128K tokens, recomputed; a small vocabulary leaves the layer alone."""
    tokens, config = 131072, llama8b(1, vocab=256)
    plain = step_memory(config, MemoryConfig(recompute="layer", tile_loss=8192), tokens)
    memory = MemoryConfig(recompute="layer", tile_loss=8192, tile_mlp=8192)
    assert step_memory(config, memory, tokens).device / plain.device <= 0.65


def test_offload_keeps_device_memory_flat_in_depth() -> None:
    """4 and 16 layers: what is kept grows on the host; the device grows by weights alone."""
    lm = LMConfig(vocab_size=256, hidden=64, heads=4)
    found = {}
    for offload in (False, True):
        memory = MemoryConfig(recompute="layer", offload=offload)
        for layers in (4, 16):
            config = ModelConfig(lm=lm.model_copy(update={"layers": layers}), vision=None)
            need = step_memory(config, memory, 16384, torch.float32)
            own = parameter_count(config) * 8  # parameters and gradients
            found[offload, layers] = (need.device - own, need.host)
    assert found[True, 16][0] <= 1.05 * found[True, 4][0]
    assert found[True, 16][1] == 4 * found[True, 4][1] == 16 * 16384 * 64 * 4
    state = 16384 * 64 * 4  # of a layer's boundary; 12 more of them, the peaks' own sizes differ
    assert found[False, 16][0] - found[False, 4][0] >= 11 * state
