"""One stage of `benchmarks.gpu_session`, in a process of its own.

    python -m benchmarks.training.gpu_stage NAME FOLDER [--seconds S] [--tiny]

Writes FOLDER/NAME.json after every value and exception.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")

from benchmarks.training import gpu_correctness, gpu_speed
from benchmarks.training.gpu_work import Report

STAGES: dict[str, Callable[[Report], None]] = {
    "smoke": gpu_correctness.smoke,
    "mixed": gpu_correctness.mixed,
    "resume": gpu_correctness.resume,
    "vlm": gpu_correctness.vlm,
    "checkpoint": gpu_correctness.checkpoint,
    "plan-correctness": gpu_correctness.plan,
    "attention": gpu_speed.attention,
    "ladder": gpu_speed.ladder,
    "longest": gpu_speed.longest,
    "whole": gpu_speed.whole,
    "plan-speed": gpu_speed.plan,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a stage; exit with 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=list(STAGES))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args(arguments)
    report = Report(options.folder, options.stage, options.seconds, options.tiny)
    try:
        STAGES[options.stage](report)
    except Exception:
        report.fail("stage", traceback.format_exc())
    return int(bool(report.data["errors"]))


if __name__ == "__main__":
    sys.exit(main())
