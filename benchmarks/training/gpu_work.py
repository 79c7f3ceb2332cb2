"""What the stages of `benchmarks.gpu_session` share: reports, data with JPEGs, configs, steps."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import json
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from benben.trainer.counter_rng import generator
from benben.trainer.distributed import parallel
from benben.trainer.loop.train import Training
from benben.trainer.settings import Config
from benchmarks.training.gpu_session import write

GIB = 2**30
WORDS = ("red", "paper", "square", "a", "the", "drawing", "hall", "of", "blue", "rain", "house")
RUNGS: dict[str, dict[str, Any]] = {
    "baseline": {"recompute": "layer"},
    "tiled loss": {"recompute": "layer", "tile_loss": 4096},
    "tiled mlp": {"recompute": "layer", "tile_loss": 4096, "tile_mlp": 8192},
    "offload": {"recompute": "layer", "tile_loss": 4096, "tile_mlp": 8192, "offload": True},
    "two-level offload": {
        "recompute": "layer",
        "tile_loss": 4096,
        "tile_mlp": 8192,
        "offload": True,
        "group": 4,
    },
}
LOW = {"dtype": "bfloat16", "params": "bfloat16", "state": "bfloat16", "lr": 1e-5}


class Report:
    """A stage's values and exceptions, in a file that is whole at any time."""

    def __init__(self, folder: Path, stage: str, seconds: float, tiny: bool) -> None:
        self.folder, self.tiny = folder, tiny
        self.path, self.end = folder / f"{stage}.json", time.monotonic() + seconds
        self.data: dict[str, Any] = {"values": {}, "errors": []}

    def add(self, name: str, value: Any) -> None:
        self.data["values"][name] = value
        write(self.path, self.data)
        print(f"{name} | {json.dumps(value)}", flush=True)

    def fail(self, name: str, why: str) -> None:
        self.data["errors"].append({"name": name, "why": why[-4000:]})
        write(self.path, self.data)

    def check(self, name: str, good: bool, value: Any) -> None:
        """Add a value, and an error where it is not as it must be."""
        self.add(name, value)
        if not good:
            self.fail(name, f"not as it must be: {value}")

    def left(self) -> float:
        return self.end - time.monotonic()

    @contextlib.contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Record an exception and go on; free the memory of what was tried."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            self.add(name, f"out of memory: {str(error).splitlines()[0]}")
        except Exception:
            self.fail(name, traceback.format_exc())
        finally:
            free()

    def plans(self, command: str) -> dict[str, Any]:
        """Return what the planner's process has said so far."""
        path = self.folder / f"plan-{command}.json"
        return dict(json.loads(path.read_text())["values"]) if path.exists() else {}


def cuda() -> bool:
    return torch.cuda.is_available()


def device() -> str:
    return "cuda" if cuda() else "cpu"


def wait() -> None:
    """Wait for the GPU."""
    if cuda():
        torch.cuda.synchronize()


def free() -> None:
    gc.collect()
    if cuda():
        torch.cuda.empty_cache()


def write_corpus(folder: Path, documents: int, words: int, pictures: int, side: int = 0) -> Path:
    """Write documents of so many words and JPEGs of `side` x `side` pixels, as Benben ships them.

    Every document has its pictures of its own.
    """
    random = generator("gpu", documents, words, pictures, side)
    rows: list[dict[str, Any]] = []
    store: dict[str, bytes] = {}
    for number in range(documents):
        texts: list[str | None] = []
        digests: list[str | None] = []
        for _ in range(max(pictures, 1)):
            if pictures:
                data = _jpeg(random, side)
                digests.append(hashlib.sha256(data).hexdigest())
                store[str(digests[-1])] = data
                texts.append(None)
            texts.append(" ".join(random.choice(WORDS, words // max(pictures, 1))))
            digests.append(None)
        images = [None if d is None else f"https://example.org/{d}.jpg" for d in digests]
        row = {"images": images, "texts": texts, "image_sha256": digests}
        rows.append({**row, "doc_id": f"made-{number}", "host": f"site{number}.example.org"})
    strings = pa.list_(pa.string())
    schema = pa.schema(
        [
            *((name, strings) for name in ("images", "texts", "image_sha256")),
            *((name, pa.string()) for name in ("doc_id", "host")),
        ]
    )
    for name in ("data", "images"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "data" / "0.parquet", 64)
    if store:
        table = {"sha256": list(store), "bytes": list(store.values())}
        pq.write_table(pa.table(table), folder / "images" / "0.parquet", 64)
    return folder


def _jpeg(random: np.random.Generator, side: int) -> bytes:
    """Return a JPEG of smooth colours with some noise: it decodes as slowly as a photograph."""
    coarse = random.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def config(corpus: Path, folder: Path, **sections: dict[str, Any]) -> Config:
    """Return a run's config on a made corpus; `sections` are laid over the defaults."""
    mix: dict[str, Any] = {"path": str(corpus / "data")}
    if (corpus / "images" / "0.parquet").exists():
        mix["images"] = str(corpus / "images")
    data: dict[str, Any] = {
        "model": {"vision": None},
        "data": {"mix": [mix], "tokenizer_vocab": 300, "window": 32, "holdout": 0.0, "lanes": 8},
        "checkpoint": {"dir": str(folder), "every": 10**9},
        "run": {"tensorboard": False, "eval_packs": 0, "log_every": 10**9, "device": device()},
        "guard": {"enabled": False},
    }
    for name, values in sections.items():
        data[name] = {**data.get(name, {}), **values}
    return Config.model_validate(data)


def timed_steps(training: Training, steps: int, warm: int) -> dict[str, float | None]:
    """Train `warm` steps, then `steps` more; return the median step's rates and the peak."""
    for _ in range(warm):
        training.one_step()
    wait()
    if cuda():
        torch.cuda.reset_peak_memory_stats()
    found = []
    for _ in range(steps):
        found.append(training.one_step())
    found.sort(key=lambda values: values["seconds"])
    best = found[len(found) // 2]
    names = ("loss", "seconds", "tokens", "images", "tokens_per_second", "mfu", "hfu", "data_wait")
    return {
        **{name: best[name] for name in names},
        "images_per_second": best["images"] / best["seconds"],
        **peaks(training),
    }


def peaks(training: Training) -> dict[str, float | None]:
    """Return the peaks of memory in GiB: device (None without CUDA) and host."""
    peak = torch.cuda.max_memory_allocated() / GIB if cuda() else None
    return {"device_gib": peak, "host_gib": training.session.model.host_peak / GIB}


def close(training: Training) -> None:
    """End a run, so that its memory can be used for the next."""
    training.metrics.close()
    training.session.loader.restore(training.session.loader.state)
    parallel.close()
