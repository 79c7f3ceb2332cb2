"""The mesh (data, sequence, tensor) and the sharding of a model over it.

Parameters are sharded (FSDP2) over data x sequence together; gradients are summed, never averaged:
the loss is already divided by the number of tokens of the whole step.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    parallelize_module,
)

from benben.common.config_files import ConfigError
from benben.trainer.distributed import torch_compat
from benben.trainer.distributed.agreement import Agreement
from benben.trainer.distributed.shards import shard_of
from benben.trainer.long_sequences.ulysses import check_heads
from benben.trainer.model.decoder import Block
from benben.trainer.model.vlm import VLM
from benben.trainer.settings import ParallelConfig

NAMES = ("dp", "sp", "tp")
TENSOR_PLAN: dict[str, Callable[[], ParallelStyle]] = {
    **{f"attn.{name}": ColwiseParallel for name in ("q", "k", "v")},
    "attn.o": RowwiseParallel,
    "mlp.gate": ColwiseParallel,
    "mlp.up": ColwiseParallel,
    "mlp.down": RowwiseParallel,
}


@dataclass(frozen=True)
class Mesh:
    """Degrees and this rank's place; `mesh` is None for one process alone."""

    dp: int = 1
    sp: int = 1
    tp: int = 1
    dp_rank: int = 0
    sp_rank: int = 0
    tp_rank: int = 0
    mesh: DeviceMesh | None = None
    flat: DeviceMesh | None = None  # data x sequence: what parameters are sharded over
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    agreement: Agreement = field(default_factory=Agreement)  # of all ranks

    @property
    def rank(self) -> int:
        return dist.get_rank() if dist.is_initialized() else 0

    @property
    def shards(self) -> int:
        return self.dp * self.sp

    def total(self, *values: float) -> list[float]:
        """Sum numbers over data and sequence ranks, in float64."""
        if self.flat is None or self.shards == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, group=self.flat.get_group())
        return tensor.tolist()


def pick_device(setting: str) -> torch.device:
    if setting == "cpu" or (setting == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    torch.cuda.set_device(device)
    return device


def make_mesh(config: ParallelConfig, device: torch.device, mixed: bool = False) -> Mesh:
    """Join the process group that `torchrun` describes, if any, and make the mesh.

    With `mixed` (parameters and computation of different types) one process alone makes a group of
    its own, since FSDP keeps the wide parameters. Raises ConfigError when the degrees do not
    multiply to the number of processes.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    dp = config.dp or size // (config.sp * config.tp)
    if dp * config.sp * config.tp != size:
        raise ConfigError(
            f"parallel: dp {config.dp or 'any'} x sp {config.sp} x tp {config.tp} is not the "
            f"{size} processes started: change the degrees, or torchrun --nproc-per-node"
        )
    if size == 1 and not mixed:
        return Mesh(device=device)
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        if size == 1:
            dist.init_process_group(backend, store=torch_compat.alone(), rank=0, world_size=1)
        else:
            dist.init_process_group(backend, timeout=timedelta(seconds=config.timeout))
    mesh = init_device_mesh(device.type, (dp, config.sp, config.tp), mesh_dim_names=NAMES)
    flat = mesh["dp", "sp"]._flatten("fsdp")
    data, sequence, tensor = (mesh.get_local_rank(name) for name in NAMES)
    degrees = (dp, config.sp, config.tp)
    return Mesh(
        *degrees, data, sequence, tensor, mesh, flat, device, Agreement.of_world(config.timeout)
    )


def is_first() -> bool:
    """Tell whether this process is the one that writes."""
    return not dist.is_initialized() or dist.get_rank() == 0


def close() -> None:
    """Leave the process group together: gloo fails when a rank leaves early."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def distribute(model: VLM, mesh: Mesh, dtype: torch.dtype) -> VLM:
    """Shard the model over the mesh, in place; one process with dtype = params changes nothing."""
    lm = model.config.lm
    model.tp_rank, model.tp_size = mesh.tp_rank, mesh.tp
    if mesh.tp > 1:
        _split_tensors(model, mesh)
    if mesh.sp > 1:
        check_heads(lm.heads // mesh.tp, lm.kv // mesh.tp, mesh.sp)
        assert mesh.mesh is not None
        model.sp = mesh.mesh["sp"].get_group()
    kept = next(model.parameters()).dtype
    if mesh.shards == 1 and kept == dtype:
        return model
    if mesh.flat is None:
        raise ValueError(f"parameters in {kept}, computation in {dtype}: make_mesh(mixed=True)")
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=wide)
    options: dict[str, Any] = {"mesh": mesh.flat, "mp_policy": policy}
    if model.vision is not None:
        fully_shard(model.vision, **options)
    for group in model.lm.groups:
        fully_shard(group, **options)
    fully_shard(model, **options)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
    return model


def _split_tensors(model: VLM, mesh: Mesh) -> None:
    lm = model.config.lm
    if lm.heads % mesh.tp or lm.kv % mesh.tp or lm.ffn % mesh.tp:
        raise ValueError(
            f"tp {mesh.tp} must divide heads {lm.heads}, kv_heads {lm.kv}, intermediate {lm.ffn}"
        )
    if model.config.lora_rank:
        raise ValueError("lora_rank needs tp 1")
    assert mesh.mesh is not None
    for block in model.modules():
        if isinstance(block, Block):
            present = {
                name: style()
                for name, style in TENSOR_PLAN.items()
                if isinstance(_child(block, name), nn.Module)
            }
            parallelize_module(block, mesh.mesh["tp"], present)


def _child(module: nn.Module, path: str) -> object:
    for name in path.split("."):
        module = getattr(module, name)
    return module


@torch.no_grad()
def gradient_norm(model: nn.Module) -> Tensor:
    """Return the global gradient norm, float64; every element counts once on any mesh."""
    total: Tensor | None = None
    for parameter in model.parameters():
        if parameter.grad is None:
            continue
        shard = shard_of(parameter.grad)
        part = shard.local.double().square().sum() / shard.copies
        total = part if total is None else total + part
    if total is None:
        return torch.zeros((), dtype=torch.float64)
    if dist.is_initialized():
        dist.all_reduce(total)
    return total.sqrt()
