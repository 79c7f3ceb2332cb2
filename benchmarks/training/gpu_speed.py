"""The stages of `benchmarks.gpu_session speed`: Llama-8B's shape on random documents."""

from __future__ import annotations

import time
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from benben.trainer.data.loader import Loader
from benben.trainer.loop.train import Training
from benben.trainer.model.batch import Layout
from benben.trainer.model.decoder import Attention, Block, Context, attend
from benben.trainer.planning import memory
from benben.trainer.settings import Config
from benchmarks.training.gpu_work import (
    GIB,
    LOW,
    RUNGS,
    Report,
    close,
    config,
    cuda,
    device,
    timed_steps,
    wait,
    write_corpus,
)

LLAMA8B: dict[str, Any] = {
    "vocab_size": 128256,
    "hidden": 4096,
    "heads": 32,
    "kv_heads": 8,
    "intermediate": 14336,
    "rope_theta": 500000.0,
}
TINY: dict[str, Any] = {"vocab_size": 512, "hidden": 64, "heads": 4, "kv_heads": 2}
LONGEST = "two-level offload"  # the rung whose longest sequence is tried
HOST_GIB = 100.0


def attention(report: Report) -> None:
    """Causal attention of one document, Llama-8B's heads: forward and backward."""
    lengths = (64, 128, 256) if report.tiny else (8192, 32768, 131072)
    dtype = torch.bfloat16 if cuda() else torch.float32
    for length in lengths:
        with report.attempt(f"{length}"):
            layout = Layout((length,), 0, length, torch.device(device()))
            q, k, v = (
                torch.randn(length, heads, 128, device=device(), dtype=dtype).requires_grad_()
                for heads in (32, 8, 8)
            )
            seconds = []
            for _ in range(3):
                wait()
                began = time.perf_counter()
                attend(q, k, v, layout).sum().backward()
                wait()
                seconds.append(time.perf_counter() - began)
            flop = 6.0 * 32 * 128 * length**2
            values = {"seconds": min(seconds), "tflops": flop / min(seconds) / 1e12}
            report.add(f"{length}", values)


def _training(report: Report, layers: int, tokens: int, rung: str) -> Training:
    """Start a run on a few very long documents."""
    corpus = report.folder / "long"
    if not (corpus / "data" / "0.parquet").exists():
        write_corpus(corpus, 16, 600 if report.tiny else 60_000, 0)
    return Training(_config(report, layers, tokens, rung))


def _config(report: Report, layers: int, tokens: int, rung: str) -> Config:
    options = dict(RUNGS[rung])
    if report.tiny:
        small = {"tile_loss": 1024, "tile_mlp": 1024, "group": 2}
        options |= {key: value for key, value in small.items() if key in options}
    return config(
        report.folder / "long",
        report.folder / "run",
        model={"lm": {**(TINY if report.tiny else LLAMA8B), "layers": layers}, "vision": None},
        data={"seq_len": tokens, "window": 4, "lanes": 1},
        optim={**LOW, "batch_packs": 1},
        memory=options,
    )


def _ladder(tiny: bool) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    """Yield layers, rung and sequence lengths, in the order of their worth."""
    few, many, lengths = (1, 2, (64, 128)) if tiny else (8, 32, (8192, 32768))
    for layers, rungs in (
        (many, ("tiled loss", "offload")),
        (few, ("baseline", "tiled loss", "tiled mlp", "offload", LONGEST)),
        (many, ("tiled mlp", "baseline", LONGEST)),
    ):
        for rung in rungs:
            yield layers, rung, lengths


def ladder(report: Report) -> None:
    """Llama-8B's shape of 8 and 32 layers, every parameter trained: rates of the rungs."""
    spent = 0.0
    for layers, rung, lengths in _ladder(report.tiny):
        name = f"{layers} layers, {rung}"
        if report.left() < spent + 3:
            report.add(name, "no time left")
            continue
        began = time.monotonic()
        with report.attempt(name):
            training = _training(report, layers, lengths[-1], rung)
            for tokens in lengths:
                seen = training.config.data.model_copy(update={"seq_len": tokens})
                training.session.loader = Loader(training.session.source(seen))
                found = timed_steps(training, 2 if tokens == lengths[0] else 1, 1)
                key = f"{name}, {tokens} tokens"
                report.add(key, beside(found, report.plans("speed").get(key)))
            close(training)
        spent = time.monotonic() - began


def beside(found: dict[str, Any], planned: float | None) -> dict[str, Any]:
    """Put the planned peak beside the measured one."""
    measured = found["device_gib"]
    ratio = planned / measured if planned and measured else None
    return {**found, "planned_gib": planned, "planned_over_measured": ratio}


def longest(report: Report) -> None:
    """The planner's longest sequence at 0.95 of it, which must fit, and at 1.1, which must not.

    Attention is computed in one layer alone: every tensor keeps its shape, so memory is a real
    step's and time is not quadratic.
    """
    while "longest" not in report.plans("speed") and report.left() > 40:
        time.sleep(0.5)
    planned = report.plans("speed").get("longest")
    if planned is None:
        raise RuntimeError("the planner had no answer in time")
    layers = 1 if report.tiny else 32
    for share in (0.95, 1.1):
        tokens = int(planned * share) // 128 * 128
        name = f"{share} of {planned}"
        with report.attempt(name):
            training = _training(report, layers, tokens, LONGEST)
            _attention_in_one_layer(training)
            report.add(name, {"tokens": tokens, **timed_steps(training, 1, 0)})
            close(training)
    if cuda():
        fits, not_ = (report.data["values"].get(f"{share} of {planned}") for share in (0.95, 1.1))
        good = isinstance(fits, dict) and isinstance(not_, str)
        report.check("planner is right", good, good)


def _attention_in_one_layer(training: Training) -> None:
    blocks = [m for m in training.session.model.modules() if isinstance(m, Block)]
    for block in blocks[1:]:
        setattr(block.attn, "forward", types.MethodType(_without_attention, block.attn))  # noqa: B010


def _without_attention(self: Attention, x: Tensor, context: Context) -> Tensor:
    q, k, v = self.q(x), self.k(x), self.v(x)
    repeated = v.repeat(1, q.shape[1] // v.shape[1])
    out: Tensor = self.o(q + repeated + k.mean())
    return out


def _whole(tiny: bool) -> tuple[int, int, str]:
    """Return layers, tokens and rung of the whole step."""
    return (1, 256, "offload") if tiny else (32, 65536, "offload")


def whole(report: Report) -> None:
    """One whole step of 64K tokens, all attention computed."""
    layers, tokens, rung = _whole(report.tiny)
    training = _training(report, layers, tokens, rung)
    found = timed_steps(training, 1, 0)
    key = f"{layers} layers, {rung}, {tokens} tokens"
    report.add(key, beside(found, report.plans("speed").get(key)))
    close(training)


def plan(report: Report) -> None:
    """What the planner says: the longest sequence first, then the peaks."""
    layers, tokens, rung = _whole(report.tiny)
    top = _config(report, layers, 128 if report.tiny else 65536, LONGEST)
    if cuda():
        cap = float(torch.cuda.get_device_properties(0).total_memory - GIB)  # CUDA's own
        report.add("device_gib", cap / GIB)
        answer = memory.longest(top, cap, HOST_GIB * GIB, 65536)
    else:
        need = memory.run_memory(top, 4096)
        answer = memory.longest(top, need.device, need.host, 1024)
    report.add("longest", answer)
    keys = [(layers, rung, (tokens,)), *_ladder(report.tiny)][: 2 if report.tiny else None]
    for layers, rung, lengths in keys:
        for tokens in lengths:
            need = memory.run_memory(_config(report, layers, tokens, rung), tokens)
            report.add(f"{layers} layers, {rung}, {tokens} tokens", need.device / GIB)
