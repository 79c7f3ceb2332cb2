"""A rank's shard of a parameter: local tensor, global shape, offset, number of copies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from benben.trainer.distributed.torch_compat import local_shape_and_offset, splits

_GROUP = re.compile(r"\bgroups\.\d+\.")


@dataclass(frozen=True)
class Shard:
    """A rank's part of a tensor. `copies` ranks of the world hold the same part."""

    local: Tensor
    shape: tuple[int, ...]
    offset: tuple[int, ...]
    copies: int
    first: bool  # this rank is the first of the copies

    def index(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the global flat index of local elements [start, stop), int64."""
        flat = torch.arange(
            start, self.local.numel() if stop is None else stop, device=self.local.device
        )
        if self.shape == tuple(self.local.shape):
            return flat
        result = torch.zeros_like(flat)
        stride = 1
        for size, offset, whole in zip(
            reversed(self.local.shape), reversed(self.offset), reversed(self.shape), strict=True
        ):
            result += (flat % size + offset) * stride
            flat = flat // size
            stride *= whole
        return result


def world() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def shard_of(tensor: Tensor) -> Shard:
    """Describe a plain tensor (held whole by every rank) or a DTensor."""
    if not isinstance(tensor, DTensor):
        zero = (0,) * tensor.dim()
        first = not dist.is_initialized() or dist.get_rank() == 0
        return Shard(tensor, tuple(tensor.shape), zero, world(), first)
    mesh, placements = tensor.device_mesh, tensor.placements
    _, offset = local_shape_and_offset(tensor.shape, mesh, placements)
    parts = 1
    for size, placement in zip(mesh.shape, placements, strict=True):
        parts *= size if splits(placement) else 1
    local = tensor.to_local()
    coordinate: list[int] = list(mesh.get_coordinate() or [])
    first = (
        all(c == 0 for c, p in zip(coordinate, placements, strict=True) if not splits(p))
        and int(mesh.mesh.min()) == 0
    )  # the mesh that holds the world's rank 0
    return Shard(local, tuple(tensor.shape), tuple(offset), world() // parts, first)


def parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield parameters by names that do not depend on how layers are grouped for recomputation.

    They are the rank's shards in their own type: what FSDP still holds gathered after a forward
    pass without a backward one (in the type of computation) is given up first.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    for name, parameter in model.named_parameters():
        yield canonical(name), parameter


def canonical(name: str) -> str:
    return _GROUP.sub("layers.", name)


def local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def copy_full(target: Tensor, full: Tensor) -> None:
    """Copy this rank's part of a whole tensor into a plain tensor or DTensor."""
    shard = shard_of(target)
    if shard.shape != tuple(full.shape):
        raise ValueError(f"shape {tuple(full.shape)} where {shard.shape} is needed")
    for dim, (start, size) in enumerate(zip(shard.offset, shard.local.shape, strict=True)):
        full = full.narrow(dim, min(start, full.shape[dim]), size)
    shard.local.copy_(full)
