"""Peak memory of the head's loss at 64K tokens of Llama-8B: untiled against tiled, fake tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from benben.trainer.model.vlm import loss_sum
from benben.trainer.planning.memory import GIB, peak
from benchmarks.support.figure import report


def main() -> None:
    """Report GiB: untiled, tiled, their ratio."""
    untiled, tiled = (loss_peak(65536, 128256, 4096, tile) / GIB for tile in (0, 2048))
    report("trainer_memory", untiled, tiled, unit="GiB")


def loss_peak(tokens: int, vocabulary: int, hidden: int, tile: int) -> int:
    """Return the peak bytes of the head's loss alone, bfloat16, forward and backward."""

    def run() -> None:
        def make(*shape: int) -> Tensor:
            return torch.empty(*shape, dtype=torch.bfloat16, requires_grad=True)

        states, weight = make(tokens, hidden), make(vocabulary, hidden)
        labels = torch.zeros(tokens, dtype=torch.int64)
        loss, _ = loss_sum(states, weight, labels, tile)
        loss.backward()

    return peak(run)


if __name__ == "__main__":
    main()
