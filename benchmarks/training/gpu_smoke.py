"""Correctness checks of the CUDA paths, each against the CPU or itself."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benben.trainer.checkpoint import store
from benben.trainer.loop.optimizer import AdamW
from benben.trainer.model.batch import Pack, to_batch
from benben.trainer.model.vlm import VLM, initialise
from benben.trainer.settings import (
    LMConfig,
    MemoryConfig,
    ModelConfig,
    OptimConfig,
    VisionConfig,
)

LENGTHS = (300, 211, 513)


def _pack() -> Pack:
    random = np.random.default_rng(0)
    ids = random.integers(0, 500, sum(LENGTHS))
    pixels = random.standard_normal((2, 3, 32, 32)).astype(np.float32)
    return Pack(ids, np.roll(ids, -1), LENGTHS, pixels, (40, 600))


def _model(device: str, dtype: torch.dtype, lm: dict[str, Any], **memory: Any) -> VLM:
    shape: dict[str, Any] = {
        "vocab_size": 500,
        "hidden": 256,
        "heads": 4,
        "kv_heads": 2,
        "layers": 3,
    }
    config = ModelConfig(lm=LMConfig(**shape, **lm), vision=VisionConfig())
    with torch.device(device):
        model = VLM(config, MemoryConfig(**memory))
    initialise(model)
    return model.to(dtype)


def _run(model: VLM, pack: Pack, device: str, dtype: torch.dtype, want: str) -> Any:
    return model(to_batch(pack, model.fusion.spans(pack), device, dtype), want=want)


def against_cpu(**lm: Any) -> dict[str, float]:
    """Return the relative error of bfloat16 logits on the GPU, beside that of bfloat16 itself."""
    with torch.no_grad():
        exact = _run(_model("cpu", torch.float32, lm), _pack(), "cpu", torch.float32, "logits")
        low = _run(_model("cpu", torch.bfloat16, lm), _pack(), "cpu", torch.bfloat16, "logits")
        gpu = _run(_model("cuda", torch.bfloat16, lm), _pack(), "cuda", torch.bfloat16, "logits")
    return {"gpu": _error(gpu.cpu(), exact), "cpu_bfloat16": _error(low, exact)}


def _error(found: Tensor, exact: Tensor) -> float:
    return float((found.float() - exact).norm() / exact.norm())


def leaks(**lm: Any) -> bool:
    """Whether the first document changes another's logits (it must not)."""
    model, base = _model("cuda", torch.bfloat16, lm), _pack()
    ids = base.ids.copy()
    ids[: LENGTHS[0]] = (ids[: LENGTHS[0]] + 1) % 500
    with torch.no_grad():
        before = _run(model, base, "cuda", torch.bfloat16, "logits")
        changed = dataclasses.replace(base, ids=ids)
        after = _run(model, changed, "cuda", torch.bfloat16, "logits")
    return not torch.equal(before[LENGTHS[0] :], after[LENGTHS[0] :])


def memory_options() -> dict[str, float]:
    """Return the relative error of gradients with tiles, recomputation and offload, in bfloat16."""
    grads = []
    options = {"recompute": "layer", "group": 2, "offload": True, "tile_loss": 100, "tile_mlp": 90}
    for memory in ({}, options):
        model = _model("cuda", torch.bfloat16, {}, **memory)
        for _ in range(3):  # pinned buffers are reused from the second step on
            model.zero_grad()
            loss, _ = _run(model, _pack(), "cuda", torch.bfloat16, "loss")
            loss.backward()
        found = [p.grad for p in model.parameters() if p.grad is not None]
        grads.append(torch.cat([grad.flatten().float() for grad in found]))
    return {"gradients": _error(grads[1], grads[0])}


def cpu_checkpoint_loads() -> bool:
    """Whether a run saved on the CPU is bitwise the same on the GPU."""
    states = []
    with tempfile.TemporaryDirectory() as folder:
        for device in ("cpu", "cuda"):
            model = _model(device, torch.float32, {})
            optimizer = AdamW(model, OptimConfig())
            path = store.newest(Path(folder))
            if path is None:
                store.Saver(Path(folder), 1).save(1, store.state_of(model, optimizer), {})
            else:
                with torch.no_grad():
                    model.lm.embed.weight.zero_()
                store.load(path, model, optimizer)
            states.append(store.state_of(model, optimizer))
    return all(torch.equal(tensor.cpu(), states[0][name]) for name, tensor in states[1].items())


CHECKS: dict[str, Callable[[], Any]] = {
    "rope against the CPU": against_cpu,
    "alibi against the CPU": lambda: against_cpu(positions="alibi"),
    "rope leaks": leaks,
    "alibi leaks": lambda: leaks(positions="alibi"),
    "memory options": memory_options,
    "a checkpoint of the CPU loads": cpu_checkpoint_loads,
}
