"""Random numbers that are a pure function of (key, index): the same on any mesh, in any order.

Hash: splitmix64 (`common/hashing.py`), in wrapping int64.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from benben.common.hashing import GOLDEN_GAMMA, mix64_signed, signed

_GAMMA = signed(GOLDEN_GAMMA)


def key(*parts: object) -> int:
    """Hash names and numbers to a signed 64-bit key."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def generator(*parts: object) -> np.random.Generator:
    """Return numpy's Philox generator keyed by the parts (counter-based, platform-independent)."""
    return np.random.Generator(np.random.Philox(key=key(*parts) & (2**64 - 1)))


def bits(seed: int | Tensor, index: Tensor) -> Tensor:
    """Return 64 random bits for each int64 index."""
    return mix64_signed(index * _GAMMA + seed)


def uniform(seed: int, index: Tensor) -> Tensor:
    """Return float64 in [0, 1) for each index."""
    return ((bits(seed, index) >> 11) & (2**53 - 1)).double() * 2.0**-53


def normal(seed: int, index: Tensor) -> Tensor:
    """Return standard normal float64 for each index (Box-Muller)."""
    radius = torch.sqrt(-2.0 * torch.log1p(-uniform(seed, 2 * index)))
    return radius * torch.cos(2.0 * torch.pi * uniform(seed, 2 * index + 1))


def round_stochastic(x: Tensor, noise: Tensor) -> Tensor:
    """Round float32 to bfloat16 up or down, with probabilities that make it unbiased.

    `noise` is int64; its low 16 bits are used.
    """
    raw = x.contiguous().view(torch.int32) + (noise & 0xFFFF).int()
    rounded = (raw & -65536).view(torch.float32)
    return torch.where(torch.isfinite(x), rounded, x).bfloat16()
