"""Peak memory of the head's loss at 64K tokens of Llama-8B: untiled against tiled, fake tensors."""

from __future__ import annotations

from benben.trainer.planning.memory import GIB, loss_peak
from benchmarks.support.figure import report


def main() -> None:
    """Report GiB: untiled, tiled, their ratio."""
    untiled, tiled = (loss_peak(65536, 128256, 4096, tile) / GIB for tile in (0, 2048))
    report("trainer_memory", untiled, tiled, unit="GiB")


if __name__ == "__main__":
    main()
