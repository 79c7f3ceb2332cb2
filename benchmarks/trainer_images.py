"""What images are worth: caption NLL with images given over that with blank ones, lower is better.

    python benchmarks/trainer_images.py [demo key=value ...]

Trains the demonstration's config on its dataset (`make demo` writes it).
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from trainer.config import load
from trainer.train import train


def main() -> None:
    """Print `trainer_images given blank ratio`, and the seconds it took."""
    name, *overrides = sys.argv[1:] or ["demo"]
    config = load(name, [*overrides, "checkpoint.dir=build/benchmarks/trainer-images"])
    shutil.rmtree(config.checkpoint.dir, ignore_errors=True)
    started, used = time.monotonic(), time.process_time()
    captions = train(config)["evaluation"]["captions"]
    values = {
        "value": captions["given"],
        "baseline": captions["blank"],
        "ratio": captions["given_over_blank"],
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - used,
    }
    print(f"trainer_images {values['value']:.3f} {values['baseline']:.3f} {values['ratio']:.3f}")
    Path("build/benchmarks/trainer_images.json").write_text(json.dumps(values))


if __name__ == "__main__":
    main()
