"""How documents lie in a packed sequence; made once a batch, passed down to every layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Documents of a packed sequence of T tokens and the slice of it a rank works on.

    `lengths` are the documents' in order (they sum to T); `start`, `stop` bound the slice.
    """

    lengths: tuple[int, ...]
    start: int
    stop: int
    device: torch.device

    @staticmethod
    def of(
        lengths: list[int] | tuple[int, ...], device: torch.device, rank: int = 0, ranks: int = 1
    ) -> Layout:
        """Lay out documents; `rank` of `ranks` takes an equal contiguous slice."""
        total = sum(lengths)
        if total % ranks:
            raise ValueError(f"{total} tokens do not divide among {ranks} sequence ranks")
        part = total // ranks
        return Layout(tuple(lengths), rank * part, (rank + 1) * part, torch.device(device))

    @cached_property
    def bounds(self) -> tuple[int, ...]:
        """Return the documents' borders, 0 first, T last."""
        result = [0]
        for length in self.lengths:
            result.append(result[-1] + length)
        return tuple(result)

    @cached_property
    def cu(self) -> Tensor:
        return torch.tensor(self.bounds, dtype=torch.int32, device=self.device)

    @cached_property
    def document(self) -> Tensor:
        """Return each token's document number, [T] int32."""
        lengths = torch.tensor(self.lengths, device=self.device)
        return torch.repeat_interleave(
            torch.arange(len(self.lengths), device=self.device, dtype=torch.int32), lengths
        )

    @cached_property
    def positions(self) -> Tensor:
        """Return positions within the document for the rank's slice, [stop - start] int64."""
        starts = torch.tensor(self.bounds[:-1], device=self.device)
        lengths = torch.tensor(self.lengths, device=self.device)
        first = torch.repeat_interleave(starts, lengths)[self.start : self.stop]
        return torch.arange(self.start, self.stop, device=self.device) - first

    @property
    def longest(self) -> int:
        return max(self.lengths)

    @property
    def pairs(self) -> int:
        """Sum of squared document lengths: what attention costs."""
        return sum(length * length for length in self.lengths)
