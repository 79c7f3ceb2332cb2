"""AdamW (Loshchilov and Hutter 2019) over local shards, element-wise, so exact on any mesh.

With bfloat16 parameters or moments the update is computed in float32 and rounded stochastically by
counter-based noise: unbiased, half of float32's bytes, and the same on any mesh.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainer import counter
from trainer.model.vlm import VLM, group_of
from trainer.settings import OptimConfig
from trainer.shards import Shard, local, parameters, shard_of

CHUNK = 1 << 26  # elements updated at a time where noise is needed


class AdamW:
    """Moments by parameter name; norms, biases and gates are not decayed."""

    def __init__(self, model: VLM, config: OptimConfig) -> None:
        self.config = config
        self.parameters = {n: p for n, p in parameters(model) if p.requires_grad}
        dtype = getattr(torch, config.state)
        self.first = {n: torch.zeros_like(p, dtype=dtype) for n, p in self.parameters.items()}
        self.second = {n: torch.zeros_like(p, dtype=dtype) for n, p in self.parameters.items()}

    def clear(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def step(self, number: int, lr: float, scale: Tensor | float = 1.0) -> None:
        """Apply step `number` (from 1) with gradients multiplied by `scale` (clipping)."""
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            rate = lr * self.config.lr_scale.get(group_of(name), 1.0)
            decay = self.config.weight_decay if parameter.dim() > 1 else 0.0
            shard = shard_of(parameter)
            tensors = [local(t) for t in (parameter.grad, self.first[name], self.second[name])]
            _update(shard, tensors, self.config, number, rate, decay, scale, name)
            parameter.grad = None

    def moments(self) -> Mapping[str, dict[str, Tensor]]:
        return {"exp_avg": self.first, "exp_avg_sq": self.second}


def _update(
    shard: Shard,
    tensors: list[Tensor],
    config: OptimConfig,
    number: int,
    rate: float,
    decay: float,
    scale: Tensor | float,
    name: str,
) -> None:
    low = torch.bfloat16 in (shard.local.dtype, tensors[1].dtype)
    flats = [t.view(-1) if t.is_contiguous() else t for t in (shard.local, *tensors)]
    size = shard.local.numel()
    if not low or not all(t.dim() == 1 for t in flats):
        _adamw(*flats, config, number, rate, decay, scale)
        return
    for start in range(0, size, CHUNK):
        stop = min(start + CHUNK, size)
        parts = [t[start:stop] for t in flats]
        wide = [t.float() for t in parts]
        _adamw(*wide, config, number, rate, decay, scale)
        index = shard.index(start, stop)
        for label, part, new in zip("pgmv", parts, wide, strict=True):
            if label == "g":
                continue
            if part.dtype == torch.bfloat16:
                seed = counter.key("round", name, label, number)
                part.copy_(counter.round_stochastic(new, seed, index))
            else:
                part.copy_(new)


def _adamw(
    p: Tensor,
    g: Tensor,
    m: Tensor,
    v: Tensor,
    config: OptimConfig,
    number: int,
    rate: float,
    decay: float,
    scale: Tensor | float,
) -> None:
    b1, b2 = config.betas
    g = g.to(m.dtype) * scale
    m.mul_(b1).add_(g, alpha=1 - b1)
    v.mul_(b2).addcmul_(g, g, value=1 - b2)
    root = (v / (1 - b2**number)).sqrt_().add_(config.eps)
    p.mul_(1 - rate * decay)
    p.addcdiv_((m / (1 - b1**number)).to(p.dtype), root.to(p.dtype), value=-rate)
