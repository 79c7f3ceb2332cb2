"""Loss and MLP in tiles of tokens, so that peak memory is that of a tile, not of the sequence.

The method is that of Arctic Long Sequence Training. Over the tiles, gradients of weights are
summed in float32 (in float64 for float64 weights).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benben.trainer.model.batch import IGNORE, wide_dtype


class _TiledLoss(torch.autograd.Function):
    """Computes gradients in the forward pass, so that logits never outlive a tile."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, tile: int, z: float
    ) -> tuple[Tensor, Tensor]:
        wide = wide_dtype(hidden.dtype)
        total, z_total = (torch.zeros((), dtype=wide, device=hidden.device) for _ in range(2))
        need_hidden, need_weight = ctx.needs_input_grad[:2]
        grad_hidden = torch.empty_like(hidden) if need_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=wide) if need_weight else None
        for start in range(0, hidden.shape[0], tile):
            rows = slice(start, start + tile)
            h, y = hidden[rows], labels[rows]
            loss, z_loss, grad = _tile(h, weight, y, z, need_hidden or need_weight)
            total += loss
            z_total += z_loss
            if grad_hidden is not None:
                grad_hidden[rows] = grad.to(weight.dtype) @ weight
            if grad_weight is not None:
                grad_weight += (grad.to(h.dtype).T @ h).to(wide)
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(z_total)
        return total, z_total

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight = ctx.saved_tensors
        if hidden is not None:
            hidden = hidden * upstream.to(hidden.dtype)
        if weight is not None:
            weight = (weight * upstream).to(ctx.dtype)
        return hidden, weight, None, None, None


def _tile(
    hidden: Tensor, weight: Tensor, labels: Tensor, z: float, need_grad: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the summed loss (z-loss included), the z-loss, and the gradient by the logits."""
    logits = (hidden @ weight.T).to(wide_dtype(hidden.dtype))
    valid = labels != IGNORE
    target = labels.clamp(min=0)[:, None]
    log_norm = logits.logsumexp(-1)
    nll = (log_norm - logits.gather(1, target)[:, 0]) * valid
    z_loss = z * (log_norm.square() * valid).sum()
    if need_grad:
        logits = logits.sub_(log_norm[:, None]).exp_()
        logits *= (valid * (1 + 2 * z * log_norm))[:, None]
        logits.scatter_add_(1, target, -valid.to(logits.dtype)[:, None])
    return nll.sum() + z_loss, z_loss, logits


def tiled_loss(
    hidden: Tensor, weight: Tensor, labels: Tensor, tile: int, z: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return the summed loss and its z-loss part, computed `tile` tokens at a time."""
    total, z_total = _TiledLoss.apply(hidden, weight, labels, tile, z)
    return total, z_total


class _TiledModule(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, module: nn.Module, tile: int, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.module, ctx.tile = module, tile
        ctx.save_for_backward(x)
        with torch.no_grad():
            part = module.forward(x[:tile])
            out: Tensor = part.new_empty(x.shape[0], *part.shape[1:])
            out[:tile] = part
            for start in range(tile, x.shape[0], tile):
                out[start : start + tile] = module.forward(x[start : start + tile])
        return out

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        module, tile = ctx.module, ctx.tile
        parameters = trainable(module)
        wide = [wide_dtype(p.dtype) for p in parameters]
        sums: list[Tensor] | None = None
        grad_x = torch.empty_like(x)
        for start in range(0, x.shape[0], tile):
            rows = slice(start, start + tile)
            part = x[rows].detach().requires_grad_()
            with torch.enable_grad():
                out = module.forward(part)
            first, *grads = torch.autograd.grad(out, [part, *parameters], upstream[rows])
            grad_x[rows] = first
            if sums is None:
                sums = [g.to(w) for g, w in zip(grads, wide, strict=True)]
            else:
                sums = [s.add_(g) for s, g in zip(sums, grads, strict=True)]
        casts = [s.to(p.dtype) for s, p in zip(sums or [], parameters, strict=True)]
        return None, None, grad_x, *casts


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Return the module's parameters that get gradients."""
    return [p for p in module.parameters() if p.requires_grad]


def tiled(module: nn.Module, x: Tensor, tile: int) -> Tensor:
    """Apply a module to [T, D] `tile` tokens at a time; the backward pass recomputes each tile.

    The module must treat every token alone.
    """
    if not tile or x.shape[0] <= tile:
        return module(x)
    return _TiledModule.apply(module, tile, x, *trainable(module))
