"""Run benchmarks one after another: `python -m tests.benchmarks.tiny_runs NAME ...`.

One process for several: Spark, compiled code and libraries start once. A name may carry arguments,
as in "scale 2 3". The process ends with the number of those that failed.
"""

from __future__ import annotations

import runpy
import shlex
import sys
import time
import traceback


def run(line: str) -> bool:
    """Run one benchmark as `python -m benchmarks.NAME` would; False when it failed."""
    name, *arguments = shlex.split(line)
    sys.argv = [name, *arguments]
    started = time.monotonic()
    try:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    except SystemExit as ended:
        good = not ended.code
    except Exception:
        traceback.print_exc()
        good = False
    else:
        good = True
    print(f"{line}: {'done' if good else 'FAILED'}, {time.monotonic() - started:.0f} s", flush=True)
    return good


if __name__ == "__main__":
    lines = sys.argv[1:]
    sys.exit(sum(not run(line) for line in lines))
