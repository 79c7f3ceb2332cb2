"""Attention over packed documents, never with an S x S mask.

CPU: one call a document. CUDA: `varlen_attn` (no bias) or FlexAttention (ALiBi), which have no
CPU backward. All take and return [T, heads, dim].
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benben.trainer.distributed import torch_compat
from benben.trainer.model.layout import Layout

QUERY_BLOCK = 256  # ALiBi on CPU: rows of bias in memory at a time


def attend(q: Tensor, k: Tensor, v: Tensor, layout: Layout, slopes: Tensor | None = None) -> Tensor:
    """Causal attention within each document; `slopes` [heads] add ALiBi's bias m (j - i)."""
    if q.is_cuda and slopes is not None:
        return _flex(q, k, v, layout, slopes)
    half = q.dtype in (torch.bfloat16, torch.float16)  # all that the flash kernels take
    if q.is_cuda and half and torch_compat.varlen_attn is not None:
        cu, longest = layout.cu, layout.longest
        return torch_compat.varlen_causal(q, k, v, cu, cu, (longest, longest))
    one = _causal if slopes is None else functools.partial(_causal_alibi, slopes=slopes)
    parts = [
        one(q[a:b], k[a:b], v[a:b]) for a, b in zip(layout.bounds, layout.bounds[1:], strict=False)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _sdpa(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """[T, H, d] in and out; key and value heads are shared by groups of query heads."""
    if k.shape[1] != q.shape[1]:
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, **options)
    return out.squeeze(0).transpose(0, 1)


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _sdpa(q, k, v, is_causal=True)


def _causal_alibi(q: Tensor, k: Tensor, v: Tensor, slopes: Tensor) -> Tensor:
    """Blocks of query rows against their prefix: bias memory is QUERY_BLOCK x S."""
    parts = []
    for start in range(0, q.shape[0], QUERY_BLOCK):
        stop = min(start + QUERY_BLOCK, q.shape[0])
        rows = torch.arange(start, stop, device=q.device)
        distance = torch.arange(stop, device=q.device)[None, :] - rows[:, None]
        bias = slopes[:, None, None] * distance.to(slopes.dtype)
        bias = bias.masked_fill(distance > 0, float("-inf")).to(q.dtype)
        parts.append(_sdpa(q[start:stop], k[:stop], v[:stop], attn_mask=bias[None]))
    return torch.cat(parts)


@functools.cache
def _compiled_flex() -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False)


def _flex(q: Tensor, k: Tensor, v: Tensor, layout: Layout, slopes: Tensor) -> Tensor:
    """ALiBi with a block-sparse causal document mask (1/16384 of S x S)."""
    from torch.nn.attention.flex_attention import create_block_mask

    document, size = layout.document, q.shape[0]

    def mask(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (i >= j) & (document[i] == document[j])

    def score(s: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return s + slopes[h] * (j - i)

    blocks = layout.__dict__.get("_blocks")
    if blocks is None:
        blocks = create_block_mask(mask, None, None, size, size, device=q.device, _compile=True)
        layout.__dict__["_blocks"] = blocks
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q, k, v))
    options = {"enable_gqa": k.shape[1] != q.shape[1]}
    out = _compiled_flex()(q, k, v, score_mod=score, block_mask=blocks, **options)
    return out.squeeze(0).transpose(0, 1)


def attend_runs(
    q: Tensor, k: Tensor, v: Tensor, runs: list[tuple[int, int, int]], latents: int
) -> Tensor:
    """Cross-attention: tokens [a, b) see the `latents` keys of image i, for each (a, b, i).

    q [T, H, d]; k, v [images x latents, H, d]. Tokens in no run get exactly zero.
    """
    if not runs:  # still a function of all three: every rank must have the same gradients
        return 0 * q + 0 * (k.sum() + v.sum())
    parts, places = [], []
    for a, b, i in runs:
        keys = slice(i * latents, (i + 1) * latents)
        parts.append(_sdpa(q[a:b], k[keys], v[keys]))
        places.append(torch.arange(a, b, device=q.device))
    return torch.zeros_like(q).index_copy(0, torch.cat(places), torch.cat(parts))
