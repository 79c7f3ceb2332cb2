"""Tries many mutated inputs on a fuzz target: `python -m tests.fuzz.many TARGET NUMBER [FIRST]`.

Inputs are numbered, so that one that fails can be made again. Each is run twice. What crashes or
takes over SECONDS ends the process: the last number printed before names the thousand it lies in,
and `FIRST` goes on behind it.
"""

from __future__ import annotations

import faulthandler
import sys
import time
import traceback

from tests.fuzz.targets import TARGETS, mutated

SECONDS = 20
EVERY = 1_000


def main(name: str, number: int, first: int = 0) -> int:
    """Run the inputs; return how many failed."""
    target, failed = TARGETS[name], 0
    target.run(target.seeds()[0])  # compiles what is compiled
    started = time.process_time()
    for seed in range(first, first + number):
        data = mutated(target, seed)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        try:
            if target.run(data) != target.run(data):
                failed += 1
                print(f"{name} {seed}: another result the second time", flush=True)
        except Exception:
            failed += 1
            print(f"{name} {seed}: {traceback.format_exc(limit=-3)}", flush=True)
        if (seed + 1) % EVERY == 0:
            print(f"{name}: {seed + 1 - first} inputs, {failed} failed", file=sys.stderr)
    faulthandler.cancel_dump_traceback_later()
    print(f"{name}: {number} inputs, {failed} failed, {time.process_time() - started:.0f} s")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1], int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0])), 100))
