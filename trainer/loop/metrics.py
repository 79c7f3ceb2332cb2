"""Writes metrics as JSON lines, to TensorBoard, and as a progress line with the time left."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


class Metrics:
    """Writes from one rank; others get `folder=None` and write nothing."""

    def __init__(self, folder: Path | None, tensorboard: bool, steps: int) -> None:
        self.steps, self.first, self.started = steps, -1, 0.0
        self.file = self.board = None
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / "metrics.jsonl").open("a", encoding="utf-8")
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder / "tensorboard"))

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Record a step's values; numbers go to TensorBoard as well."""
        if self.file is None:
            return
        if self.first < 0:  # time left is estimated without the first step, which compiles
            self.first, self.started = step, time.monotonic()
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        if self.board is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self.board.add_scalar(name, value, step)

    def show(self, step: int, values: dict[str, Any]) -> None:
        """Print a progress line to stderr."""
        if self.file is None:
            return
        left = "unknown"
        if step > self.first:
            pace = (time.monotonic() - self.started) / (step - self.first)
            left = clock(pace * (self.steps - step))
        parts = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items()]
        print(
            f"step {step}/{self.steps}  {'  '.join(parts)}  left {left}",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        for writer in (self.file, self.board):
            if writer is not None:
                writer.close()


def clock(seconds: float) -> str:
    minutes, second = divmod(int(max(seconds, 0)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"
