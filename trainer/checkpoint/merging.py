"""Merges tensor-parallel shards of other trainers by a table of rules.

A rule says how the shards of the parameters it matches make the whole (Universal Checkpointing's
patterns): `replicate` (all must be equal), `shard` along `dim`, `average`, or `parts`: each shard
holds a piece of several fused matrices of the given sizes along `dim` (such as gate and up).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from benben.trainer.checkpoint.store import CheckpointError


class Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    pattern: str  # must match the whole name
    how: Literal["replicate", "shard", "average", "parts"]
    dim: int = 0
    sizes: list[int] = []  # parts: whole sizes of the fused matrices
    vocabulary: int | None = None  # rows without padding, which is cut off
    rename: str | None = None  # our name, with the pattern's groups as \1 ...


def merge(shards: Sequence[dict[str, Tensor]], rules: Sequence[Rule]) -> dict[str, Tensor]:
    """Merge the shards of all tensor ranks, in rank order.

    Raises CheckpointError when a name matches no rule or several, a rank lacks it, or what should
    be equal is not.
    """
    result: dict[str, Tensor] = {}
    for name in sorted(set().union(*shards)):
        rule = _rule(name, rules)
        if any(name not in shard for shard in shards):
            raise CheckpointError(f"{name}: not in every shard")
        whole = _whole(name, [shard[name] for shard in shards], rule)
        if rule.vocabulary is not None:
            whole = whole[: rule.vocabulary]
        target = re.sub(rule.pattern, rule.rename, name) if rule.rename else name
        if target in result:
            raise CheckpointError(f"{name}: {target} is already there")
        result[target] = whole.contiguous()
    return result


def _rule(name: str, rules: Sequence[Rule]) -> Rule:
    found = [rule for rule in rules if re.fullmatch(rule.pattern, name)]
    if len(found) != 1:
        patterns = ", ".join(rule.pattern for rule in found) or "none"
        raise CheckpointError(f"{name}: exactly one rule must match, found {patterns}")
    return found[0]


def _whole(name: str, tensors: list[Tensor], rule: Rule) -> Tensor:
    if rule.how == "replicate":
        if not all(torch.equal(tensors[0], other) for other in tensors[1:]):
            raise CheckpointError(f"{name}: replicas differ; `average` merges them")
        return tensors[0]
    if rule.how == "average":
        return torch.stack([t.double() for t in tensors]).mean(0).to(tensors[0].dtype)
    if rule.how == "shard":
        return torch.cat(tensors, rule.dim)
    sizes = [size // len(tensors) for size in rule.sizes]
    if sum(sizes) != tensors[0].shape[rule.dim]:
        raise CheckpointError(f"{name}: {tensors[0].shape[rule.dim]} rows are not parts {sizes}")
    pieces = zip(*(t.split(sizes, rule.dim) for t in tensors), strict=True)
    return torch.cat([torch.cat(piece, rule.dim) for piece in pieces], rule.dim)
