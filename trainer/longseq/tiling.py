"""Tiled loss and tiled MLP (Arctic Long Sequence Training): peak memory of a tile, not of S.

Gradients of weights accumulate in float32 (float64 for float64 weights) over the tiles.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

IGNORE = -100


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


class _TiledLoss(torch.autograd.Function):
    """Computes gradients in the forward pass, so that logits never outlive a tile."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, tile: int, z: float
    ) -> tuple[Tensor, Tensor]:
        wide = _wide(hidden.dtype)
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
    """Return summed loss (z-loss included), summed z-loss and the gradient by the logits."""
    logits = (hidden @ weight.T).to(_wide(hidden.dtype))
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


def loss_sum(
    hidden: Tensor, weight: Tensor, labels: Tensor, tile: int = 0, z: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy of [T, D] hidden states and its z-loss part (detached).

    `labels` [T] are already shifted; -100 is ignored. `tile` tokens at a time, 0: all at once.
    z-loss: z * logsumexp^2 (PaLM).
    """
    if tile:
        return _TiledLoss.apply(hidden, weight, labels, tile, z)
    logits = (hidden @ weight.T).to(_wide(hidden.dtype))
    nll = nn.functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
    if not z:
        return nll, torch.zeros_like(nll)
    z_loss = z * (logits.logsumexp(-1).square() * (labels != IGNORE)).sum()
    return nll + z_loss, z_loss.detach()


@torch.no_grad()
def nll_each(hidden: Tensor, weight: Tensor, labels: Tensor, tile: int = 2048) -> Tensor:
    """Return each label's negative log-likelihood [T], 0 where ignored; for evaluation."""
    parts = []
    for start in range(0, hidden.shape[0], tile):
        logits = (hidden[start : start + tile] @ weight.T).to(_wide(hidden.dtype))
        parts.append(
            nn.functional.cross_entropy(
                logits, labels[start : start + tile], ignore_index=IGNORE, reduction="none"
            )
        )
    return torch.cat(parts)


class _TiledModule(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, module: nn.Module, tile: int, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.module, ctx.tile = module, tile
        ctx.save_for_backward(x)
        with torch.no_grad():
            out = None
            for start in range(0, x.shape[0], tile):
                part = module.forward(x[start : start + tile])
                if out is None:
                    out = part.new_empty(x.shape[0], *part.shape[1:])
                out[start : start + tile] = part
        return out

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        module, tile = ctx.module, ctx.tile
        parameters = trainable(module)
        wide = [_wide(p.dtype) for p in parameters]
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
    return [p for p in module.parameters() if p.requires_grad]


def tiled(module: nn.Module, x: Tensor, tile: int) -> Tensor:
    """Apply a token-wise module to [T, D], `tile` tokens at a time, recomputed in backward."""
    if not tile or x.shape[0] <= tile:
        return module(x)
    return _TiledModule.apply(module, tile, x, *trainable(module))
