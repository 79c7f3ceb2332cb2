"""The stages of `benchmarks.gpu_session correctness`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benben.trainer.checkpoint import store
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import Training
from benben.trainer.object_stores import size
from benben.trainer.planning.memory import run_memory
from benben.trainer.settings import Config
from benchmarks.training import gpu_smoke
from benchmarks.training.gpu_work import (
    GIB,
    Report,
    close,
    config,
    device,
    timed_steps,
    wait,
    write_corpus,
)

MIXED = {"dtype": "bfloat16", "lr": 1e-3}
SMALL: dict[str, Any] = {"hidden": 256, "heads": 4, "layers": 4}
TOWER: dict[str, Any] = {"image_size": 64, "patch_size": 8, "hidden": 128, "heads": 4, "shuffle": 4}


def smoke(report: Report) -> None:
    """The GPU computes what the CPU computed; documents do not leak; options change nothing."""
    exact = gpu_smoke.stored()
    if report.tiny:
        exact = {"alibi": exact["alibi"]}
    for case, stored in exact.items():
        for dtype, factor in ((torch.float32, None), (torch.bfloat16, 3.0)):
            name = f"{case}, {str(dtype).removeprefix('torch.')}"
            with report.attempt(name):
                found = gpu_smoke.error(gpu_smoke.results(case, device(), dtype), stored)
                limits = {
                    key: 1e-3 if factor is None else max(factor * value, 1e-3)
                    for key, value in stored["bfloat16_error"].items()
                }
                report.check(name, all(found[key] <= limits[key] for key in found), found)
    leaks: dict[str, dict[str, Any]] = {"rope": {}, "alibi": {"positions": "alibi"}}
    for name, lm in list(leaks.items())[: 1 if report.tiny else 2]:
        with report.attempt(f"{name} leaks"):
            found_leak = gpu_smoke.leaks(device(), **lm)
            report.check(f"{name} leaks", not found_leak, found_leak)
    with report.attempt("memory options"):
        off = gpu_smoke.memory_options(device())
        report.check("memory options", off < 0.02, off)
    with report.attempt("a checkpoint of the CPU loads"):
        same = gpu_smoke.cpu_checkpoint_loads(device())
        report.check("a checkpoint of the CPU loads", same, same)


def _vlm(report: Report, name: str, **sections: Any) -> Config:
    """Return the config of a small model on a small corpus of JPEGs."""
    corpus = report.folder / "small"
    if not corpus.exists():
        write_corpus(corpus, 40 if report.tiny else 400, 60, 2, side=64)
    base: dict[str, Any] = {
        "model": {"lm": SMALL, "vision": TOWER},
        "data": {"seq_len": 256 if report.tiny else 1024},
        "optim": {**MIXED, "batch_packs": 2 if report.tiny else 4},
    }
    if report.tiny:
        base["model"]["lm"] = {**SMALL, "hidden": 64}
    for section, values in sections.items():
        base[section] = {**base.get(section, {}), **values}
    return config(corpus, report.folder / name, **base)


def mixed(report: Report) -> None:
    """Bfloat16 computation on float32 parameters, one process: losses close to float32's."""
    steps, losses = 4 if report.tiny else 30, {}
    for dtype in ("float32", "bfloat16"):
        made = _vlm(report, f"mixed-{dtype}", optim={"dtype": dtype})
        training = Training(made)
        losses[dtype] = [training.one_step()["loss"] for _ in range(steps)]
        kept = {str(p.dtype) for p in training.session.optimizer.parameters.values()}
        report.check(f"{dtype}: parameters", kept == {"torch.float32"}, sorted(kept))
        close(training)
    pairs = zip(losses["bfloat16"], losses["float32"], strict=True)
    apart = max(abs(low / wide - 1) for low, wide in pairs)
    report.add("last losses", {dtype: values[-1] for dtype, values in losses.items()})
    report.check("bfloat16 apart from float32", apart < 0.03, apart)


def resume(report: Report) -> None:
    """150 steps at once, and 150 steps of a process that is killed and started again."""
    steps, every = (6, 2) if report.tiny else (150, 40)
    sections = {
        "run": {"steps": steps},
        "checkpoint": {"every": every, "asynchronous": True},
    }
    lines = {}
    for name in ("straight", "killed"):
        made = _vlm(report, name, **sections)
        file = report.folder / f"{name}-config.json"
        run = {**made.checkpoint.model_dump(), "dir": str(report.folder / name)}
        data = made.model_dump() | {"checkpoint": run}
        file.write_text(json.dumps(data))
        if name == "killed":
            report.add("killed after step", _kill(file, report.folder / name, steps // 2))
        _train(file).wait()
        lines[name] = _lines(report.folder / name)
    straight, killed = ({line["step"]: line for line in found} for found in lines.values())
    same = all(straight[n]["predicted"] == killed[n]["predicted"] for n in straight)
    report.check("every step's data", same and len(killed) == steps, len(killed))
    apart = max(abs(straight[n]["loss"] / killed[n]["loss"] - 1) for n in straight)
    report.check("losses apart", apart < (1e-6 if report.tiny else 0.02), apart)
    report.add("last loss", straight[steps]["loss"])


def _train(file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "benben.trainer.commands.cli", "train", str(file)]
    )


def _kill(file: Path, folder: Path, step: int) -> int:
    """Start a run, kill it once it has passed a step, and return its last step."""
    process = _train(file)
    while process.poll() is None and len(_lines(folder)) < step:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return len(_lines(folder))


def _lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    found = path.read_text().splitlines()
    return [json.loads(line) for line in found if line.endswith("}")]


def _large_vlm(report: Report) -> Config:
    """Return SmolLM2's shape of 1.7 billion with a frozen SigLIP's, on documents with JPEGs."""
    corpus, tiny = report.folder / "pictures", report.tiny
    lm = {"hidden": 2048, "layers": 24, "heads": 32, "intermediate": 8192, "tie": True}
    lm |= {"vocab_size": 49152}
    tower = {"image_size": 512, "patch_size": 16, "hidden": 768, "layers": 12, "heads": 12}
    if tiny:
        lm, tower = dict(SMALL), dict(TOWER)
    return config(
        corpus,
        report.folder / "vlm",
        model={"lm": lm, "vision": {**tower, "shuffle": 4}, "freeze": ["vision"]},
        data={"seq_len": 512 if tiny else 8192, "workers": 2 if tiny else 8, "window": 64},
        optim={"dtype": "bfloat16", "batch_packs": 8, "lr": 1e-5},
        memory={"recompute": "layer", "tile_loss": 4096},
    )


def vlm(report: Report) -> None:
    """Real steps of a vision-language model: rates, data wait, peak of memory."""
    documents, words, side = (60, 40, 64) if report.tiny else (1200, 300, 512)
    write_corpus(report.folder / "pictures", documents, words, 2, side)
    training = Training(_large_vlm(report))
    report.add("parameters", sum(p.numel() for p in training.session.model.parameters()))
    warm, steps = (1, 2) if report.tiny else (2, 6)
    found = timed_steps(training, steps, warm)
    report.add("steps", found)
    plan_now = report.plans("correctness").get("vlm_gib")
    report.add("planned_gib", plan_now)
    if plan_now and found["device_gib"]:
        report.add("planned over measured", plan_now / found["device_gib"])
    close(training)


def plan(report: Report) -> None:
    """The planner's peak of the stage `vlm`."""
    made = _large_vlm(report)
    lm = made.model.lm
    size = lm.model_copy(update={"vocab_size": lm.vocab_size or made.data.tokenizer_vocab})
    made = made.model_copy(update={"model": made.model.model_copy(update={"lm": size})})
    report.add("vlm_gib", run_memory(made, made.data.seq_len).device / GIB)


def checkpoint(report: Report) -> None:
    """A checkpoint of 2 GB, written at once and in the background, and loaded again."""
    lm = {**SMALL, "hidden": 64} if report.tiny else {"hidden": 1024, "heads": 8, "layers": 13}
    corpus = write_corpus(report.folder / "text", 64, 200, 0)
    for asynchronous in (False, True):
        name = "asynchronous" if asynchronous else "synchronous"
        with report.attempt(name):
            made = config(
                corpus,
                report.folder / name,
                model={"lm": lm, "vision": None},
                data={"seq_len": 512},
                optim=MIXED,
                checkpoint={"asynchronous": asynchronous},
            )
            training = Training(made)
            training.one_step()
            report.add(name, _saved(training.session, training))
            close(training)


def _saved(session: Session, training: Training) -> dict[str, float]:
    wait()
    began = time.perf_counter()
    training.save()
    stalled = time.perf_counter() - began
    slowest = 0.0
    while session.saver.pending is not None and not session.saver.ready():
        slowest = max(slowest, training.one_step()["seconds"])
    session.saver.finish()
    written = time.perf_counter() - began
    path = store.newest(session.folder)
    assert path is not None
    gigabytes = size(path) / 1e9
    began = time.perf_counter()
    session.resume(path)
    values = {"gigabytes": gigabytes, "stalled_s": stalled, "written_s": written}
    return {**values, "slowest_step_meanwhile_s": slowest, "loaded_s": time.perf_counter() - began}
