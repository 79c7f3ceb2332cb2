"""Correctness checks of the CUDA paths: against a CPU's stored results, and against themselves."""

from __future__ import annotations

import dataclasses
import json
import tempfile
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

STORED = Path(__file__).with_name("cpu_results.json")
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


CASES: dict[str, dict[str, Any]] = {
    "rope": {},
    "alibi": {"positions": "alibi"},
    "tied, gelu, layernorm": {"tie": True, "activation": "gelu", "norm": "layernorm", "bias": True},
}
ROWS = slice(0, 1024, 73)  # logits that are compared
COLUMNS = slice(0, 500, 61)


def results(case: str, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Return some logits, the loss and the gradients' norms of the decoder's groups."""
    model, pack = _model(device, dtype, CASES[case]), _pack()
    with torch.no_grad():
        logits = _run(model, pack, device, dtype, "logits")
    loss, _ = _run(model, pack, device, dtype, "loss")
    loss.backward()
    norms: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            key = name.split(".")[-2] if name.startswith("lm.") else name.split(".")[0]
            norms[key] = norms.get(key, 0.0) + float(parameter.grad.double().square().sum())
    return {
        "logits": logits[ROWS, COLUMNS].float().flatten().tolist(),
        "loss": float(loss.detach()),
        "gradients": {name: value**0.5 for name, value in sorted(norms.items())},
    }


def error(found: dict[str, Any], stored: dict[str, Any]) -> dict[str, float]:
    """Return the relative errors of logits, loss and gradients' norms (the largest)."""
    return {
        "logits": _error(torch.tensor(found["logits"]), torch.tensor(stored["logits"])),
        "loss": abs(found["loss"] / stored["loss"] - 1),
        "gradients": max(
            abs(found["gradients"][name] / value - 1) for name, value in stored["gradients"].items()
        ),
    }


def stored() -> dict[str, Any]:
    return dict(json.loads(STORED.read_text()))


def store_results() -> None:
    """Write the CPU's float32 results anew, with the errors of bfloat16 there."""
    torch.set_num_threads(1)
    data = {}
    for case in CASES:
        exact = results(case, "cpu", torch.float32)
        low = error(results(case, "cpu", torch.bfloat16), exact)
        data[case] = {**exact, "bfloat16_error": low}
    STORED.write_text(json.dumps(data, indent=1) + "\n")


def _error(found: Tensor, exact: Tensor) -> float:
    return float((found.float() - exact).norm() / exact.norm())


def leaks(device: str, **lm: Any) -> bool:
    """Whether the first document changes another's logits (it must not)."""
    model, base = _model(device, torch.bfloat16, lm), _pack()
    ids = base.ids.copy()
    ids[: LENGTHS[0]] = (ids[: LENGTHS[0]] + 1) % 500
    with torch.no_grad():
        before = _run(model, base, device, torch.bfloat16, "logits")
        changed = dataclasses.replace(base, ids=ids)
        after = _run(model, changed, device, torch.bfloat16, "logits")
    return not torch.equal(before[LENGTHS[0] :], after[LENGTHS[0] :])


def memory_options(device: str) -> float:
    """Return the relative error of gradients with tiles, recomputation and offload, in bfloat16."""
    grads = []
    options = {"recompute": "layer", "group": 2, "offload": True, "tile_loss": 100, "tile_mlp": 90}
    for memory in ({}, options):
        model = _model(device, torch.bfloat16, {}, **memory)
        for _ in range(
            3 if device == "cuda" else 1
        ):  # pinned buffers are reused from the second step on
            model.zero_grad()
            loss, _ = _run(model, _pack(), device, torch.bfloat16, "loss")
            loss.backward()
        found = [p.grad for p in model.parameters() if p.grad is not None]
        grads.append(torch.cat([grad.flatten().float() for grad in found]))
    return _error(grads[1], grads[0])


def cpu_checkpoint_loads(target: str) -> bool:
    """Whether a run saved on the CPU is bitwise the same on the target device."""
    states = []
    with tempfile.TemporaryDirectory() as folder:
        for device in ("cpu", target):
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
