"""AdamW (Loshchilov and Hutter 2019) over local shards, element-wise, so exact on any mesh.

With bfloat16 parameters or moments the update is computed in float32 and rounded stochastically by
counter-based noise: unbiased, half of float32's bytes, and the same on any mesh.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from benben.trainer import counter
from benben.trainer.distributed.shards import Shard, local, parameters, shard_of
from benben.trainer.model.vlm import VLM, group_of
from benben.trainer.settings import OptimConfig

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
    def step(self, number: int, lr: float, scale: float = 1.0) -> None:
        """Apply step `number` (from 1) with gradients multiplied by `scale` (clipping)."""
        b1, b2 = self.config.betas
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            rate = lr * self.config.lr_scale.get(group_of(name), 1.0)
            decay = self.config.weight_decay if parameter.dim() > 1 else 0.0
            shard = shard_of(parameter)
            tensors = [local(t) for t in (parameter.grad, self.first[name], self.second[name])]
            numbers = (rate, rate * decay, 1 - b1**number, 1 - b2**number, scale)
            if torch.bfloat16 in (shard.local.dtype, tensors[1].dtype):
                _update_low(shard, tensors, self.config, numbers, counter.key(name, number))
            else:
                _adamw(shard.local, *tensors, self.config, numbers)
            parameter.grad = None

    def moments(self) -> Mapping[str, dict[str, Tensor]]:
        return {"exp_avg": self.first, "exp_avg_sq": self.second}


Numbers = Sequence[float | Tensor]  # rate, rate x decay, bias corrections, scale


def _adamw(
    p: Tensor, g: Tensor, m: Tensor, v: Tensor, config: OptimConfig, numbers: Numbers
) -> None:
    rate, decay, first, second, scale = numbers
    b1, b2 = config.betas
    g = g.to(m.dtype) * scale
    m.mul_(b1).add_(g, alpha=1 - b1)
    v.mul_(b2).addcmul_(g, g, value=1 - b2)
    step = (m / first) / ((v / second).sqrt() + config.eps)
    p.mul_(1 - decay).sub_((step * rate).to(p.dtype))


def _update_low(
    shard: Shard, tensors: list[Tensor], config: OptimConfig, numbers: Sequence[float], seed: int
) -> None:
    """Update in chunks; on CUDA each is one fused kernel, whose changing numbers are tensors."""
    grad, *moments = tensors
    flats = [shard.local.view(-1), grad.reshape(-1), *(t.view(-1) for t in moments)]
    device = shard.local.device
    values = torch.tensor(numbers, dtype=torch.float32, device=device).unbind()
    key = torch.tensor(seed, device=device)
    run = _fused() if shard.local.is_cuda else _low
    for start in range(0, shard.local.numel(), CHUNK):
        stop = min(start + CHUNK, shard.local.numel())
        parts = [t[start:stop] for t in flats]
        new = run(*parts, shard.index(start, stop), key, config, values)
        for part, value in zip((parts[0], *parts[2:]), new, strict=True):
            part.copy_(value)


def _low(
    p: Tensor,
    g: Tensor,
    m: Tensor,
    v: Tensor,
    index: Tensor,
    key: Tensor,
    config: OptimConfig,
    numbers: Numbers,
) -> list[Tensor]:
    """Return new p, m, v; each takes other 16 bits of one hash as its rounding noise."""
    wide = [t.float() for t in (p, g, m, v)]
    _adamw(*wide, config, numbers)
    noise = counter.bits(key, index)
    pairs = ((p, wide[0], 0), (m, wide[2], 16), (v, wide[3], 32))
    return [
        counter.round_stochastic(new, noise >> shift) if old.dtype == torch.bfloat16 else new
        for old, new, shift in pairs
    ]


@functools.cache
def _fused() -> Callable[..., list[Tensor]]:
    return torch.compile(_low, dynamic=True)
