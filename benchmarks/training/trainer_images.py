"""What images are worth: caption NLL with images given over that with blank ones, lower is better.

    python -m benchmarks.trainer_images [demo key=value ...]

Trains the demonstration's config on its dataset (`make demo` writes it).
"""

from __future__ import annotations

import shutil
import sys
import time

from benben.trainer.config import load
from benben.trainer.loop.train import train
from benchmarks.support.figure import report


def main() -> None:
    """Report the caption NLL with images given and blank; the seconds it took lie in the JSON."""
    name, *overrides = sys.argv[1:] or ["demo"]
    config = load(name, [*overrides, "checkpoint.dir=build/benchmarks/trainer-images"])
    shutil.rmtree(config.checkpoint.dir, ignore_errors=True)
    started, used = time.monotonic(), time.process_time()
    captions = train(config)["evaluation"]["captions"]
    report(
        "trainer_images",
        captions["given"],
        captions["blank"],
        seconds=time.monotonic() - started,
        cpu_seconds=time.process_time() - used,
    )


if __name__ == "__main__":
    main()
