"""A linear layer with an optional low-rank addition beside its weight (LoRA, Hu et al. 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Linear):
    """y = x W' + b + (x A') B' * 2; B starts at zero. The base weight keeps its name."""

    def __init__(self, inputs: int, outputs: int, bias: bool, rank: int = 0) -> None:
        super().__init__(inputs, outputs, bias)
        self.lora_a = nn.Parameter(torch.empty(rank, inputs)) if rank else None
        self.lora_b = nn.Parameter(torch.empty(outputs, rank)) if rank else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight, self.bias)
        if self.lora_a is None or self.lora_b is None:
            return y
        return y + F.linear(F.linear(x, self.lora_a), self.lora_b) * 2.0
