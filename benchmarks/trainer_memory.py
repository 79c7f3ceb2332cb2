"""Peak memory of the head's loss at 64K tokens of Llama-8B: untiled over tiled, by fake tensors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from trainer.plan import GIB, loss_peak


def main() -> None:
    """Print `trainer_memory tiled_gib untiled_gib ratio`."""
    untiled, tiled = (loss_peak(65536, 128256, 4096, tile) / GIB for tile in (0, 2048))
    print(f"trainer_memory {tiled:.2f} {untiled:.2f} {untiled / tiled:.2f}")
    out = Path("build/benchmarks/trainer_memory.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"value": tiled, "baseline": untiled, "ratio": untiled / tiled}))


if __name__ == "__main__":
    main()
