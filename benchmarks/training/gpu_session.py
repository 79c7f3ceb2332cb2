"""Measure the trainer on one CUDA GPU: correctness, throughput, longest sequence, a long real step.

    python -m benchmarks.gpu_session [--stages smoke ladder ...] [--out build/benchmarks/gpu.json]

Results are written after every measurement, so stages can run one command at a time and an
interrupted one keeps what it has. Without a GPU it says so and ends.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")

import torch

STAGES: dict[str, Callable[[Report], None]] = {}


class Report:
    """The JSON file of results."""

    def __init__(self, path: Path, minutes: float) -> None:
        self.path, self.end = path, time.monotonic() + 60 * minutes
        self.data: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, stage: str, name: str, value: Any) -> None:
        self.data.setdefault(stage, {})[name] = value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.data, indent=1) + "\n")
        print(f"{stage} | {name} | {json.dumps(value)}", flush=True)

    def over(self) -> bool:
        return time.monotonic() > self.end


def stage(function: Callable[[Report], None]) -> Callable[[Report], None]:
    STAGES[function.__name__] = function
    return function


def attempt(run: Callable[[], Any]) -> Any:
    """Return the result, or the words "out of memory"."""
    from benchmarks.training.gpu_models import free

    try:
        return run()
    except (torch.OutOfMemoryError, MemoryError):
        return "out of memory"
    finally:
        free()


@stage
def smoke(report: Report) -> None:
    """The GPU computes what the CPU computes, and documents do not leak."""
    from benchmarks.training import gpu_smoke

    for name, check in gpu_smoke.CHECKS.items():
        report.add("smoke", name, check())


@stage
def ladder(report: Report) -> None:
    """Llama-8B, full parameters: tokens/s and MFU of each rung at 8K, 32K; 8 layers at 128K."""
    from benchmarks.training.gpu_models import LLAMA8B, RUNGS, Bench, text

    for tokens, layers in ((8192, 32), (32768, 32), (131072, 8)):
        for rung in ("baseline", "tiled loss", "tiled mlp", "offload"):
            if report.over():
                return

            def run(tokens: int = tokens, layers: int = layers, rung: str = rung) -> Any:
                bench = Bench({**LLAMA8B, "layers": layers}, RUNGS[rung])
                bench.step(text(tokens))
                best = min((bench.step(text(tokens)) for _ in range(2)), key=lambda r: r["seconds"])
                return {**best, "layers": layers}

            report.add("ladder", f"{tokens} {rung}", attempt(run))


@stage
def longest(report: Report) -> None:
    """The longest sequence of one step by rung, attention in one layer alone; by bisection."""
    from benchmarks.training.gpu_models import RUNGS

    starts = {
        "baseline": 32768,
        "tiled loss": 65536,
        "tiled mlp": 65536,
        "offload": 262144,
        "two-level offload": 524288,
    }
    for rung in RUNGS:
        best = _bisect(report, rung, starts[rung])
        report.add("longest", rung, best)


def _bisect(report: Report, rung: str, start: int) -> dict[str, Any]:
    tried: dict[int, Any] = {}

    def fits(tokens: int) -> bool:
        tried[tokens] = attempt(lambda: _probe(rung, tokens))
        report.add("longest", f"{rung} {tokens}", tried[tokens])
        return isinstance(tried[tokens], dict)

    low, high = 0, start
    while not report.over() and fits(high):
        low, high = high, high * 2
    while not report.over() and high - low > max(low, start) // 8:
        middle = (low + high) // 2 // 4096 * 4096
        low, high = (middle, high) if fits(middle) else (low, middle)
    return {"tokens": low, "fails_at": high}


def _probe(rung: str, tokens: int) -> dict[str, float]:
    from benchmarks.training.gpu_models import LLAMA8B, RUNGS, Bench, text

    bench = Bench(LLAMA8B, RUNGS[rung])
    bench.attention_in_one_layer()
    return bench.step(text(tokens))


@stage
def real(report: Report) -> None:
    """One whole step of 256K tokens, all attention computed."""
    from benchmarks.training.gpu_models import LLAMA8B, RUNGS, Bench, text

    def run() -> Any:
        bench = Bench(LLAMA8B, RUNGS["offload"])
        bench.step(text(8192))
        return bench.step(text(262144))

    report.add("real", "262144", attempt(run))


@stage
def plan(report: Report) -> None:
    """The planner's peak over the measured one, 8 layers of the Llama-8B shape at 32K."""
    from benben.trainer.planning.memory import run_memory
    from benben.trainer.settings import Config, LMConfig, MemoryConfig, ModelConfig
    from benchmarks.training.gpu_models import GIB, LLAMA8B, OPTIM, RUNGS, Bench, text

    lm = {**LLAMA8B, "layers": 8}
    for rung, memory in RUNGS.items():
        model = ModelConfig(lm=LMConfig(**lm), vision=None)
        config = Config(model=model, memory=MemoryConfig(**memory), optim=OPTIM)
        planned = run_memory(config, 32768).device / GIB

        def run(memory: Any = memory) -> Any:
            bench = Bench(lm, memory)
            return max(bench.step(text(32768))["device_gib"] for _ in range(2))

        found = attempt(run)
        ratio = planned / found if isinstance(found, float) else None
        values = {"planned_gib": planned, "measured_gib": found, "ratio": ratio}
        report.add("plan", rung, values)


@stage
def shapes(report: Report) -> None:
    """Rank correlation of predicted and measured products, and what the advice is worth."""
    from scipy.stats import spearmanr

    from benben.trainer.planning import gemm, hardware, measure, shape
    from benben.trainer.settings import LMConfig

    card, predicted, found = hardware.gpu("h200"), [], []
    path = measure.table_path(report.path.parent, measure.device_name())
    for hidden, heads, ffn in ((2560, 32, 10240), (4096, 32, 10922), (4096, 32, 11008)):
        lm = LMConfig(vocab_size=50257, hidden=hidden, heads=heads, intermediate=ffn)
        gemms = [*shape.layer_gemms(lm, shape.Work(fused=False)), shape.head_gemm(lm, shape.Work())]
        table = measure.measure(gemms, path)
        for one in (g for whole in gemms for g in (whole, *whole.backward())):
            predicted.append(gemm.score(one, card).seconds)
            found.append(table[one.batch, one.m, one.n, one.k])
    report.add("shapes", "spearman", float(spearmanr(predicted, found).statistic))


@stage
def vlm(report: Report) -> None:
    """A 2B-class decoder with a SigLIP so400m-shaped tower (384 px, 81 tokens an image)."""
    from benben.trainer.settings import VisionConfig
    from benchmarks.training.gpu_models import RUNGS, Bench, interleaved

    vision = VisionConfig(
        image_size=378, patch_size=14, hidden=1152, layers=27, heads=16, shuffle=3
    )
    lm = {"vocab_size": 49280, "hidden": 2048, "layers": 24, "heads": 32, "intermediate": 8192}

    def run() -> Any:
        bench = Bench(lm, RUNGS["tiled loss"], vision)
        per_image = bench.model.tokens_per_image
        pack = interleaved(32768, vision, per_image, 49280)
        bench.step(pack)
        return bench.step(pack)

    report.add("vlm", "32768", attempt(run))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/gpu.json"))
    parser.add_argument("--stages", nargs="*", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--minutes", type=float, default=40.0)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu_session: no CUDA GPU here, nothing measured")
        return 0
    report = Report(options.out, options.minutes)
    report.add("machine", "gpu", torch.cuda.get_device_name())
    report.add("machine", "torch", torch.__version__)
    for name in options.stages:
        if not report.over():
            STAGES[name](report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
