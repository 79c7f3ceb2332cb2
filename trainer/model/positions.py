"""Rotary and ALiBi positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benben.trainer.settings import LMConfig


def rope_frequencies(config: LMConfig, device: torch.device) -> Tensor:
    """Return the rotary frequencies, [dim / 2] float32 (Su et al. 2021).

    `rope_scaling` stretches long wavelengths as Llama 3.1 does.
    """
    exponent = torch.arange(0, config.dim, 2, device=device, dtype=torch.int64).float() / config.dim
    frequencies = 1.0 / (config.rope_theta**exponent)
    scaling = config.rope_scaling
    if not scaling:
        return frequencies
    old = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    wavelength = 2 * math.pi / frequencies
    smooth = ((old / wavelength - low) / (high - low)).clamp(0, 1)
    return (1 - smooth) * frequencies / scaling["factor"] + smooth * frequencies


def rope_tables(config: LMConfig, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosines and sines for the positions, each [T, 1, dim]."""
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    frequencies = rope_frequencies(config, positions.device).to(wide)
    angles = positions.to(wide)[:, None] * frequencies
    angles = torch.cat([angles, angles], -1)[:, None, :]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Apply rotary positions to [T, heads, dim]; halves are rotated, as Hugging Face's Llama."""
    cos, sin = tables
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def alibi_slopes(heads: int) -> list[float]:
    """Return ALiBi's slopes (Press et al. 2022): 2^(-8i/n) for n = 2^k heads.

    Other head counts: the slopes of the next lower power p, then every second one of 2p.
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8.0 * i / power) for i in range(1, power + 1)]
    if power < heads:
        slopes += alibi_slopes(2 * power)[0::2][: heads - power]
    return slopes
