"""Memory bars, counted on fake tensors: no GPU, nothing allocated."""

from __future__ import annotations

import torch

from benben.trainer.planning.memory import parameter_count, step_memory
from benben.trainer.settings import LMConfig, MemoryConfig, ModelConfig
from benchmarks.training.trainer_memory import loss_peak


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
    """4 and 16 layers, to the byte: what is kept grows the device without offload, the host with.

    The peaks lie at two ends of the backward pass. Without offload it is where the deepest layer
    is recomputed: every boundary state is there and no layer has a gradient yet, so parameters
    alone come on top. With offload nothing piles up, and the peak is in the first layer, when
    all others have theirs: parameters and gradients come on top.
    """
    lm = LMConfig(vocab_size=256, hidden=64, heads=4)
    grown = {}
    for offload in (False, True):
        memory = MemoryConfig(recompute="layer", offload=offload)
        small, large = (
            ModelConfig(lm=lm.model_copy(update={"layers": layers}), vision=None)
            for layers in (4, 16)
        )
        few, many = (step_memory(c, memory, 16384, torch.float32) for c in (small, large))
        weights = 4 * (parameter_count(large) - parameter_count(small))
        grown[offload] = (many.device - few.device, many.host - few.host, weights)
    state = 16384 * 64 * 4  # of a layer's boundary
    device, host, weights = grown[False]
    assert (device - weights, host) == (12 * state, 0)
    device, host, weights = grown[True]
    assert (device - 2 * weights, host) == (0, 12 * state)
