"""Recomputes activations from stored layer inputs, which may be kept in host memory.

A state is kept at the input of each group of layers. With groups of more than one layer the
backward pass recomputes a group and keeps its inner layer inputs on the device meanwhile: host
memory falls by the group's size, for one more forward pass (two-level recomputation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benben.trainer.distributed.torch_compat import is_fake
from benben.trainer.long_sequences.tiling import trainable


@dataclass(frozen=True)
class Kept:
    """A stored tensor: itself on its device, a copy on the host, or (fake tensors) its shape."""

    like: Tensor
    buffer: Tensor | None
    hosted: bool


class HostStore:
    """Keeps tensors in host memory; copies overlap with computation on CUDA.

    `device_bytes`, `host_bytes`: what is held now, `host_peak` the most ever held. Pinned buffers
    are reused between steps. The first `keep_on_device` tensors held stay where they are.
    """

    def __init__(self, offload: bool, keep_on_device: int = 0) -> None:
        self.offload, self.keep = offload, keep_on_device
        self.device_bytes = self.host_bytes = self.host_peak = self._count = 0
        self._free: dict[tuple[Any, ...], list[Tensor]] = {}
        self._stream: Any = None

    def put(self, x: Tensor) -> Kept:
        """Store a tensor and return a handle for `get`."""
        self._count += 1
        if not self.offload or self._count <= self.keep:
            self.device_bytes += _bytes(x)
            return Kept(x, None, False)
        self.host_bytes += _bytes(x)
        self.host_peak = max(self.host_peak, self.host_bytes)
        shape = x.new_empty(()).expand(x.shape)  # remembers shape, type and device in one element
        if is_fake(x):
            return Kept(shape, None, True)
        buffer = self._buffer(x)
        if not x.is_cuda:
            buffer.copy_(x)
            return Kept(shape, buffer, True)
        if self._stream is None:
            self._stream = torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            buffer.copy_(x, non_blocking=True)
        x.record_stream(self._stream)
        return Kept(shape, buffer, True)

    def get(self, kept: Kept) -> Tensor:
        """Bring a tensor back to its device and drop it from the store."""
        self._count -= 1
        if not kept.hosted:
            self.device_bytes -= _bytes(kept.like)
            return kept.like
        self.host_bytes -= _bytes(kept.like)
        x = torch.empty(kept.like.shape, dtype=kept.like.dtype, device=kept.like.device)
        if kept.buffer is None:
            return x
        if self._stream is not None:
            torch.cuda.current_stream().wait_stream(self._stream)
        x.copy_(kept.buffer, non_blocking=True)
        if self._stream is not None:  # the buffer's next copy waits for this one
            self._stream.wait_stream(torch.cuda.current_stream())
        self._free.setdefault((x.shape, x.dtype), []).append(kept.buffer)
        return x

    def _buffer(self, x: Tensor) -> Tensor:
        free = self._free.get((x.shape, x.dtype))
        if free:
            return free.pop()
        return torch.empty(x.shape, dtype=x.dtype, device="cpu", pin_memory=x.is_cuda)


def _bytes(x: Tensor) -> int:
    return x.numel() * x.element_size()


class _Recompute(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        run: Callable[..., Tensor],
        module: nn.Module,
        store: HostStore | None,
        x: Tensor,
        extra: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.run, ctx.module, ctx.store, ctx.extra = run, module, store, extra
        ctx.kept = store.put(x) if store else x
        with torch.no_grad():
            return run(x, extra)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x = ctx.store.get(ctx.kept) if ctx.store else ctx.kept
        ctx.kept = None
        x = x.detach().requires_grad_()
        extra = ctx.extra
        if extra is not None and ctx.needs_input_grad[4]:
            extra = extra.detach().requires_grad_()
        with torch.enable_grad():
            out = ctx.run(x, extra)
        wanted = [x, *([extra] if ctx.needs_input_grad[4] else []), *trainable(ctx.module)]
        first, *grads = torch.autograd.grad(out, wanted, upstream, allow_unused=True)
        other = grads.pop(0) if ctx.needs_input_grad[4] else None
        return None, None, None, first, other, *grads


def recompute(
    run: Callable[..., Tensor],
    module: nn.Module,
    x: Tensor,
    extra: Tensor | None = None,
    store: HostStore | None = None,
) -> Tensor:
    """Call `run(x, extra)`, storing only x for the backward pass; `module` owns the parameters."""
    return _Recompute.apply(run, module, store, x, extra, *trainable(module))
