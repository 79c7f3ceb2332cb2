"""How long a small run takes: `python -m benchmarks.small_run [REPEATS]`.

All stages on the archives of real pages (`TEST-MAIN`), with the shipped config and fetching off, as
one command in a process of its own. Machine code is compiled before: a first run is not measured.
Value and baseline are the seconds of the fastest whole run and of its extraction. The lines before
show the seconds of each stage, processor seconds, and how busy the machine was besides.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benben.jobs import stages
from benben.pipeline import manifest
from benchmarks.support import figure, process
from benchmarks.support.data import archives

REPEATS = 2


def main() -> None:
    """Run once for the compiler, then REPEATS times, and report the fastest."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    found = [measure() for _ in range(repeats + 1)][1:]
    best = min(found, key=lambda run: run["seconds"])
    for name, seconds in best["stages"].items():
        print(f"{name:<12} {seconds:6.1f} s")
    print(f"{'start, end':<12} {best['seconds'] - sum(best['stages'].values()):6.1f} s")
    print(f"processor seconds {best['processor_seconds']:.1f}, load before {best['load']:.2f}")
    figure.report("small_run", best["seconds"], best["stages"]["extract"], runs=found)


def measure() -> dict[str, Any]:
    """Run all stages in a new folder; return seconds, of each stage too, and the load before."""
    load = os.getloadavg()[0]
    names = ",".join(str(path) for path in archives())
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        values = (f"input=[{names}]", f"output={folder}/run", "fetch.enabled=false")
        used = process.benben(["run", "default", *values])
        seconds = time.perf_counter() - started
        parts = {name: stage_seconds(Path(folder, "run"), name) for name in stages.STAGES}
    return {
        "seconds": seconds,
        "processor_seconds": used,
        "load": load,
        "stages": {name: part for name, part in parts.items() if part is not None},
    }


def stage_seconds(run: Path, name: str) -> float | None:
    """Return the seconds that a stage took, from the manifest of its first table."""
    found = manifest.read(str(run / stages.load(name).writes[0]))
    return found.seconds if found else None


if __name__ == "__main__":
    main()
