"""Recomputation from layer-boundary states, which may wait in host memory.

A state is kept at the input of each group of layers. With groups of more than one layer the
backward pass recomputes a group and keeps its inner boundaries on the device for that while: host
memory falls by the group's size, for one more forward pass (two-level recomputation).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from trainer.longseq.tiling import trainable


class HostStore:
    """Keeps tensors in host memory; copies overlap with computation on CUDA.

    `device_bytes`, `host_bytes`: what is held now. Pinned buffers are reused between steps.
    """

    def __init__(self, offload: bool, keep_on_device: int = 0) -> None:
        self.offload, self.keep = offload, keep_on_device
        self.device_bytes = self.host_bytes = self._count = 0
        self._free: dict[tuple[Any, ...], list[Tensor]] = {}
        self._stream: Any = None

    def put(self, x: Tensor) -> tuple[Tensor, Any, bool]:
        """Store a tensor and return a handle for `get`."""
        self._count += 1
        size = x.numel() * x.element_size()
        if not self.offload or self._count <= self.keep:
            self.device_bytes += size
            return x, None, False
        self.host_bytes += size
        buffer = self._buffer(x)
        if not _real_cuda(x):
            buffer.copy_(x)
            return buffer, x.device, True
        if self._stream is None:
            self._stream = torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            buffer.copy_(x, non_blocking=True)
        x.record_stream(self._stream)
        return buffer, x.device, True

    def get(self, handle: tuple[Tensor, Any, bool]) -> Tensor:
        """Bring a tensor back to its device and drop it from the store."""
        buffer, device, hosted = handle
        self._count -= 1
        size = buffer.numel() * buffer.element_size()
        if not hosted:
            self.device_bytes -= size
            return buffer
        self.host_bytes -= size
        x = torch.empty(buffer.shape, dtype=buffer.dtype, device=device)
        if self._stream is not None:
            torch.cuda.current_stream().wait_stream(self._stream)
        x.copy_(buffer, non_blocking=True)
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream())
        self._free.setdefault((buffer.shape, buffer.dtype), []).append(buffer)
        return x

    def _buffer(self, x: Tensor) -> Tensor:
        free = self._free.get((x.shape, x.dtype))
        if free:
            return free.pop()
        return torch.empty(x.shape, dtype=x.dtype, device="cpu", pin_memory=_real_cuda(x))


def _real_cuda(x: Tensor) -> bool:
    return x.is_cuda and not isinstance(x, torch._subclasses.FakeTensor)


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
    """Call `run(x, extra)`, keeping x alone for backward; `module` owns the parameters used."""
    return _Recompute.apply(run, module, store, x, extra, *trainable(module))
