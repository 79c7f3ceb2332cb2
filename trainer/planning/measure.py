"""Times matrix products on this GPU; the table of a device replaces the predicted seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.utils.benchmark import Timer

from benben.common.config_files import ConfigError
from benben.trainer.planning.gemm import Gemm

Table = dict[tuple[int, int, int, int], float]
SECONDS = 0.2  # spent on measuring one product


def device_name() -> str:
    """Return the CUDA device's name; raises ConfigError without one."""
    if not torch.cuda.is_available():
        raise ConfigError("--measure needs a CUDA GPU; without it speeds are predicted")
    return torch.cuda.get_device_name()


def table_path(folder: Path, device: str) -> Path:
    return folder / f"gemm-{device.replace(' ', '-').lower()}.json"


def load(path: Path) -> Table:
    """Read a device's table; empty where there is none."""
    if not path.is_file():
        return {}
    rows = json.loads(path.read_text())["products"]
    return {tuple(row[:4]): row[4] for row in rows}


def measure(gemms: Iterable[Gemm], path: Path, device: str = "cuda") -> Table:
    """Time the products that the table lacks, write it after each one, and return it."""
    table = load(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for gemm in gemms:
        for one in (gemm, *gemm.backward()):
            key = (one.batch, one.m, one.n, one.k)
            if key in table:
                continue
            table[key] = _time(one, device)
            rows = [[*key, seconds] for key, seconds in sorted(table.items())]
            path.write_text(json.dumps({"columns": "batch m n k seconds", "products": rows}))
    return table


def _time(gemm: Gemm, device: str) -> float:
    """Return the median seconds of a product in bfloat16."""
    a = torch.randn(gemm.batch, gemm.m, gemm.k, device=device, dtype=torch.bfloat16)
    b = torch.randn(gemm.batch, gemm.k, gemm.n, device=device, dtype=torch.bfloat16)
    timer = Timer("torch.bmm(a, b)", globals={"torch": torch, "a": a, "b": b})
    return float(timer.blocked_autorange(min_run_time=SECONDS).median)
