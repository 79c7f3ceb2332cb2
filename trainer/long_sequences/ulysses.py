"""Ulysses sequence parallelism (Jacobs et al. 2023): tokens -> heads -> tokens by all-to-all.

Between the exchanges every rank sees the whole
sequence for its share of the heads.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from benben.trainer.distributed.torch_compat import all_to_all


def check_heads(heads: int, kv_heads: int, ranks: int) -> None:
    """Raise ValueError unless the heads divide among the ranks (few kv heads are replicated)."""
    if heads % ranks:
        raise ValueError(f"{heads} query heads do not divide among {ranks} sequence ranks")
    if kv_heads % ranks and ranks % kv_heads:
        raise ValueError(f"{kv_heads} key/value heads neither divide nor replicate to {ranks}")


def scatter_heads(
    q: Tensor, k: Tensor, v: Tensor, group: dist.ProcessGroup
) -> tuple[Tensor, Tensor, Tensor]:
    """[T/P, heads, d] to [T, heads/P, d], q, k and v in one exchange.

    Fewer kv heads than ranks are replicated, so that each rank has the one its query heads share.
    """
    ranks = group.size()
    if k.shape[1] < ranks:
        k, v = (x.repeat_interleave(ranks // x.shape[1], 1) for x in (k, v))
    tokens, dim = q.shape[0], q.shape[2]
    counts = [x.shape[1] // ranks for x in (q, k, v)]
    parts = [x.view(tokens, ranks, -1, dim) for x in (q, k, v)]
    joined = torch.cat(parts, 2).transpose(0, 1).contiguous()  # [P, T/P, heads, d]
    full = all_to_all(joined, group).flatten(0, 1)
    q, k, v = full.split(counts, 1)
    return q, k, v


def gather_heads(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """[T, heads/P, d] to [T/P, heads, d]."""
    ranks = group.size()
    parts = x.reshape(ranks, -1, *x.shape[1:]).contiguous()  # [P, T/P, heads/P, d]
    return all_to_all(parts, group).transpose(0, 1).flatten(1, 2)


def head_slice(slopes: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Return the slopes of this rank's heads (ALiBi)."""
    return slopes.chunk(group.size())[group.rank()]
