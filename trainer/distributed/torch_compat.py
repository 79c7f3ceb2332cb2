"""Parts of torch that are private or differ between versions (2.11 on GPUs, 2.13 in tests)."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.distributed.tensor import Shard
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset
from torch.distributed.tensor.placement_types import _StridedShard
from torch.utils.hooks import RemovableHandle


def _optional(module: str) -> Any:
    """Import a module that some versions of torch lack; None where it is missing."""
    try:
        return import_module(module)
    except ImportError:
        return None


_mem_tracker = _optional("torch.distributed._tools.mem_tracker")
varlen_attn: Any = getattr(_optional("torch.nn.attention.varlen"), "varlen_attn", None)


def local_shape_and_offset(
    shape: Sequence[int], mesh: Any, placements: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return a rank's shape and global offset of a DTensor."""
    return compute_local_shape_and_global_offset(torch.Size(shape), mesh, placements)


def alone() -> Any:
    """Return the store of a process group of one process."""
    return dist.HashStore()  # type: ignore[attr-defined]


def world_store() -> Any:
    """Return the store through which the world's ranks found each other."""
    from torch.distributed.distributed_c10d import _get_default_store

    return _get_default_store()


def fused_adamw(
    tensors: Sequence[Sequence[Tensor]],
    number: int,
    rate: float,
    decay: float,
    betas: tuple[float, float],
    eps: float,
    scale: float,
) -> None:
    """Update (parameter, gradient, first, second moment) of one type in a few fused kernels.

    Gradients are multiplied by `scale`; `number` counts steps from 1.
    """
    parameters, gradients, first, second = (list(column) for column in zip(*tensors, strict=True))
    device = parameters[0].device
    step = torch.full((), float(number), device=device)
    torch._fused_adamw_(
        parameters,
        gradients,
        first,
        second,
        [],
        [step] * len(parameters),
        lr=rate,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=decay,
        eps=eps,
        amsgrad=False,
        maximize=False,
        grad_scale=torch.full((), 1.0 / scale, device=device),
    )


class _Copying:
    """A stream that copies what is written: torch reuses its buffer, and stores send it later."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, data: Any) -> int:
        return int(self.stream.write(bytes(data)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def store_writer(url: str) -> Any:
    """Return what writes a distributed checkpoint to an object store, through fsspec."""
    module = import_module("torch.distributed.checkpoint._fsspec_filesystem")

    class Files(module.FileSystem):  # type: ignore[misc, name-defined]
        @contextmanager
        def create_stream(self, path: Any, mode: str) -> Iterator[Any]:
            with super().create_stream(path, mode) as stream:
                yield _Copying(stream) if "w" in mode else stream

    writer = module.FsspecWriter(url, sync_files=False)  # syncing would flush the local disks
    writer.fs = Files()
    writer.fs.init_path(url)
    return writer


def store_reader(url: str) -> Any:
    """Return what reads a distributed checkpoint from an object store, through fsspec."""
    return import_module("torch.distributed.checkpoint._fsspec_filesystem").FsspecReader(url)


def is_fake(x: Tensor) -> bool:
    return isinstance(x, FakeTensor)


def splits(placement: Any) -> bool:
    """Tell whether a placement divides a dimension; repeated sharding has its own class."""
    return isinstance(placement, Shard | _StridedShard)


class _AllToAll(torch.autograd.Function):
    """Exchange equal parts of dimension 0; its gradient is the same exchange."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return _exchange(x, group)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _exchange(grad, ctx.group), None


def _exchange(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    x = x.contiguous()
    out = torch.empty_like(x)
    dist.all_to_all_single(out, x, group=group)
    return out


def memory_tracker() -> Any:
    """Return torch's memory tracker, corrected to accept parameters that do not train.

    Torch's own registers a gradient hook on every parameter, which fails for those. Raises
    RuntimeError if this torch has no tracker.
    """
    if _mem_tracker is None:
        raise RuntimeError("this torch has no memory tracker; `plan` needs torch 2.5 to 2.13")
    none = RemovableHandle(OrderedDict())

    class Tracker(_mem_tracker.MemTracker):  # type: ignore[misc, name-defined]
        def _track_module_params_and_buffers(self, module: Any, *args: Any, **kwargs: Any) -> Any:
            for parameter in module.parameters():
                if not parameter.requires_grad:
                    self._param_to_grad_hook_handles[parameter] = (none, none)
            return super()._track_module_params_and_buffers(module, *args, **kwargs)

    return Tracker()


def all_to_all(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Send part i of dimension 0 to rank i of the group; differentiable."""
    return _AllToAll.apply(x, group)


def varlen_causal(
    q: Tensor, k: Tensor, v: Tensor, cu_q: Tensor, cu_k: Tensor, longest: tuple[int, int]
) -> Tensor:
    """Causal attention over packed documents, [T, H, d]; CUDA only.

    torch 2.10 takes `is_causal`, later ones `window_size` and `enable_gqa`.
    """
    names = inspect.signature(varlen_attn).parameters
    options: dict[str, Any] = {}
    options |= {"is_causal": True} if "is_causal" in names else {"window_size": (-1, 0)}
    if k.shape[1] != q.shape[1]:
        if "enable_gqa" in names:
            options["enable_gqa"] = True
        else:
            k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
            v = v.repeat_interleave(q.shape[1] // v.shape[1], 1)
    out: Tensor = varlen_attn(q, k, v, cu_q, cu_k, *longest, **options)
    return out
