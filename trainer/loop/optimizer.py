"""AdamW, and the learning rate and batch size of each step.

AdamW (Loshchilov and Hutter 2019) works element by element on local shards, so it is exact on any
mesh. With bfloat16 parameters or moments the update is computed in float32 and rounded
stochastically with counter-based noise: unbiased, half the bytes of float32, and the same on any
mesh. Rates follow the tokens seen, as BLOOM's do, not the steps.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from benben.trainer import counter_rng
from benben.trainer.distributed import torch_compat
from benben.trainer.distributed.shards import Shard, local, parameters, shard_of
from benben.trainer.model.vlm import VLM, group_of
from benben.trainer.settings import OptimConfig

CHUNK = 1 << 26  # elements updated at a time with noise


class AdamW:
    """AdamW with moments by parameter name; norms, biases and gates have no weight decay."""

    def __init__(self, model: VLM, config: OptimConfig, fused: bool | None = None) -> None:
        """`fused` updates many parameters with one kernel; by default on CUDA."""
        self.config, self.fused = config, fused
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
        together: dict[tuple[float, float], list[tuple[Tensor, ...]]] = {}
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            rate = lr * self.config.lr_scale.get(group_of(name), 1.0)
            decay = self.config.weight_decay if parameter.dim() > 1 else 0.0
            shard = shard_of(parameter)
            grad, m, v = (local(t) for t in (parameter.grad, self.first[name], self.second[name]))
            numbers = (rate, rate * decay, 1 - b1**number, 1 - b2**number, scale)
            if torch.bfloat16 in (shard.local.dtype, m.dtype):
                seed = counter_rng.key(name, number)
                _update_low(shard, (grad, m, v), self.config, numbers, seed)
            elif self._fuses(shard.local, grad, m, v):
                group = together.setdefault((rate, decay), [])
                group.append((shard.local, grad, m, v))
            else:
                _adamw(shard.local, grad, m, v, self.config, numbers)
            parameter.grad = None
        for (rate, decay), tensors in together.items():
            torch_compat.fused_adamw(
                tensors, number, rate, decay, self.config.betas, self.config.eps, scale
            )

    def _fuses(self, *tensors: Tensor) -> bool:
        """Tell whether one kernel can update these: of one type, and with elements."""
        first = tensors[0]
        asked = first.is_cuda if self.fused is None else self.fused
        return asked and first.numel() > 0 and all(t.dtype == first.dtype for t in tensors)

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
    shard: Shard,
    tensors: tuple[Tensor, Tensor, Tensor],
    config: OptimConfig,
    numbers: Sequence[float],
    seed: int,
) -> None:
    """Update in chunks. On CUDA each is one fused kernel; numbers that change are tensors."""
    grad, m, v = tensors
    flats = [shard.local.view(-1), grad.reshape(-1), m.view(-1), v.view(-1)]
    device = shard.local.device
    values = torch.tensor(numbers, dtype=torch.float32, device=device).unbind()
    key = torch.tensor(seed, device=device)
    run = _fused() if shard.local.is_cuda else _low
    for start in range(0, shard.local.numel(), CHUNK):
        stop = min(start + CHUNK, shard.local.numel())
        p, g, m, v = (t[start:stop] for t in flats)
        new = run(p, g, m, v, shard.index(start, stop), key, config, values)
        for part, value in zip((p, m, v), new, strict=True):
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
    """Return new p, m, v; the rounding noise of each is a different 16 bits of one hash."""
    wide_p, wide_g, wide_m, wide_v = (t.float() for t in (p, g, m, v))
    _adamw(wide_p, wide_g, wide_m, wide_v, config, numbers)
    noise = counter_rng.bits(key, index)
    pairs = ((p, wide_p, 0), (m, wide_m, 16), (v, wide_v, 32))
    return [
        counter_rng.round_stochastic(new, noise >> shift) if old.dtype == torch.bfloat16 else new
        for old, new, shift in pairs
    ]


@functools.cache
def _fused() -> Callable[..., list[Tensor]]:
    return torch.compile(_low, dynamic=True)


def learning_rate(config: OptimConfig, tokens: float, total: float) -> float:
    """Return the rate: linear warm-up, then cosine or linear to `floor` of the peak, then flat.

    Without `decay_tokens` the decay ends with the run, at `total` tokens. The cosine runs from the
    end of the warm-up to `decay_tokens`, as Megatron's does.
    """
    if tokens < config.warmup_tokens:
        return config.lr * tokens / config.warmup_tokens
    if config.schedule == "constant":
        return config.lr
    end = config.decay_tokens or total
    span = max(end - config.warmup_tokens, 1.0)
    done = min(max((tokens - config.warmup_tokens) / span, 0.0), 1.0)
    shape = 0.5 * (1 + math.cos(math.pi * done)) if config.schedule == "cosine" else 1 - done
    return config.lr * (config.floor + (1 - config.floor) * shape)


def batch_packs(config: OptimConfig, tokens: float) -> int:
    """Return the packs of the next step: `ramp_from`, then more by `ramp_step`, up to all."""
    if not config.ramp_from or tokens >= config.ramp_tokens:
        return config.batch_packs
    rises = (config.batch_packs - config.ramp_from) / max(config.ramp_step, 1)
    risen = int(tokens / config.ramp_tokens * rises)
    return min(config.ramp_from + risen * config.ramp_step, config.batch_packs)
