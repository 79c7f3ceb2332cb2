"""Decisions that all ranks take together, over every dimension of the mesh.

A rank alone never ends a loop, skips a collective call or takes another branch: it says what it
knows, and all do what any of them, or rank 0, says. Who does not answer in time is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from benben.common.errors import UserError
from benben.trainer.distributed import torch_compat

T = TypeVar("T")
GRACE = 10.0  # seconds in which the other ranks must notice that one is lost


class LostRank(UserError):
    """Ranks that no longer answer; the message names them."""


class Agreement:
    """Agreement of one process with itself, or of the world over a gloo group of its own."""

    def __init__(self, group: Any = None, timeout: float = 0.0) -> None:
        self.group, self.timeout, self.calls = group, timeout, 0

    @staticmethod
    def of_world(timeout: float) -> Agreement:
        """Return the agreement of all ranks; a collective call."""
        if dist.get_world_size() == 1:
            return Agreement()
        limit = timedelta(seconds=timeout)
        return Agreement(dist.new_group(backend="gloo", timeout=limit), timeout)

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag whether any rank raised it. Raises LostRank."""
        if self.group is None:
            return list(flags)
        values = torch.tensor(flags, dtype=torch.uint8)
        self._together(lambda: dist.all_reduce(values, dist.ReduceOp.MAX, group=self.group))
        return [bool(value) for value in values.tolist()]

    def all(self, flag: bool) -> bool:
        """Tell whether every rank raised the flag. Raises LostRank."""
        return not self.any(not flag)[0]

    def of_first(self, value: T) -> T:
        """Return rank 0's value. Raises LostRank."""
        if self.group is None:
            return value
        box = [value]
        self._together(lambda: dist.broadcast_object_list(box, 0, group=self.group))
        return box[0]

    def gather(self, value: T) -> list[T]:
        """Return every rank's value. Raises LostRank."""
        if self.group is None:
            return [value]
        box: list[Any] = [None] * dist.get_world_size()
        self._together(lambda: dist.all_gather_object(box, value, group=self.group))
        return box

    def _together(self, call: Callable[[], Any]) -> None:
        self.calls += 1
        try:
            call()
        except RuntimeError as error:  # a time-out, or a connection that a dead rank closed
            raise self.lost() or error from None

    def lost(self) -> LostRank | None:
        """Call the roll after a failed call of any group; None if all ranks still answer."""
        if self.group is None:
            return None
        missing = ", ".join(map(str, self._absent()))
        if not missing:
            return None
        return LostRank(
            f"rank {missing} of {dist.get_world_size()} did not answer within "
            f"{self.timeout:g} s (parallel.timeout): see its log; the run goes on from its "
            "newest checkpoint when all are started again"
        )

    def _absent(self) -> list[int]:
        store, mine = torch_compat.world_store(), dist.get_rank()
        store.set(f"here/{self.calls}/{mine}", "1")
        waited, absent = time.monotonic() + GRACE, list(range(dist.get_world_size()))
        while absent and time.monotonic() < waited:
            absent = [rank for rank in absent if not store.check([f"here/{self.calls}/{rank}"])]
            time.sleep(0.05)
        return absent
