"""Packs in one global order, read by any number of ranks and workers, resumable at any pack.

Pack n comes from lane n mod L; lane l packs windows l, l + L, l + 2L ... of the mixture's order.
A rank of dp reads the packs n = rank mod dp, so dp must divide L: each document is tokenised on
one rank alone, and the order does not know how many ranks there are. The state is the next pack's
number and, to resume without replaying, each lane's (window, offset).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch.distributed as dist
from torch.utils.data import DataLoader, IterableDataset

from benben.common.errors import UserError
from benben.trainer.data.batch import Pack
from benben.trainer.data.packing import plan
from benben.trainer.data.render import Sample
from benben.trainer.data.source import DataSource

Cursor = tuple[int, int]


@dataclass(frozen=True)
class DataState:
    """Where a run is in its data."""

    next: int = 0
    lanes: dict[int, Cursor] = field(default_factory=dict)  # of lanes already begun
    skip: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        lanes = {str(lane): list(cursor) for lane, cursor in sorted(self.lanes.items())}
        return {"next": self.next, "lanes": lanes, "skip": [list(s) for s in self.skip]}

    @staticmethod
    def from_json(data: dict[str, Any]) -> DataState:
        lanes = {int(lane): (w, o) for lane, (w, o) in data["lanes"].items()}
        return DataState(data["next"], lanes, tuple((a, b) for a, b in data["skip"]))

    def skipped(self, number: int, lanes: int) -> bool:
        """Whether a pack is never trained on. Ranges widen to whole rounds of the lanes."""
        turn = number // lanes
        return any(a // lanes <= turn < -(-b // lanes) for a, b in self.skip)


class NoDocuments(UserError):
    """A split without documents."""


class Lane:
    """The packs of one lane, from a cursor on."""

    def __init__(self, source: DataSource, lane: int, cursor: Cursor | None) -> None:
        self.source, self.stride = source, source.config.lanes
        self.window, self.offset = cursor or (lane, 0)
        self.bins: list[list[Sample]] | None = None

    def take(self) -> tuple[list[Sample], Cursor]:
        """Return the next pack's samples and the cursor behind it."""
        empty = 0
        while True:
            if self.bins is None:
                samples = self.source.samples(self.window)
                config = self.source.config
                self.bins = plan(samples, config.seq_len, config.seed, self.window)
                empty = 0 if self.bins else empty + 1
                if empty * self.stride > self.source.mixture.epoch() + self.stride:
                    raise NoDocuments("the data has no usable document for this split")
            if self.offset < len(self.bins):
                self.offset += 1
                return self.bins[self.offset - 1], (self.window, self.offset)
            self.window, self.offset, self.bins = self.window + self.stride, 0, None


class PackDataset(IterableDataset):  # type: ignore[type-arg]
    """Yields (number, pack or None for a skipped one, cursor) in the order of a rank's packs."""

    def __init__(self, source: DataSource, state: DataState, rank: int, ranks: int) -> None:
        self.source, self.state, self.rank, self.ranks = source, state, rank, ranks

    def __iter__(self) -> Iterator[tuple[int, Pack | None, Cursor]]:
        from torch.utils.data import get_worker_info

        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        total = self.source.config.lanes
        lanes: dict[int, Lane] = {}
        start = self.state.next
        number = start + (self.rank - start) % self.ranks + worker * self.ranks
        while True:
            at = number % total
            if at not in lanes:
                lanes[at] = Lane(self.source, at, self.state.lanes.get(at))
            samples, cursor = lanes[at].take()
            skipped = self.state.skipped(number, total)
            yield number, None if skipped else self.source.assemble(samples, number), cursor
            number += self.ranks * workers


class Loader:
    """Hands a rank its packs and knows the exact position after them."""

    def __init__(
        self, source: DataSource, rank: int = 0, ranks: int = 1, state: DataState | None = None
    ) -> None:
        total = source.config.lanes
        if total % ranks:
            raise ValueError(f"data.lanes {total} must be a multiple of the {ranks} data ranks")
        workers = source.config.workers
        if workers and (total // ranks) % workers:
            raise ValueError(f"data.workers {workers} must divide the {total // ranks} lanes")
        self.source, self.rank, self.ranks = source, rank, ranks
        self.restore(state or DataState(skip=tuple(map(tuple, source.config.skip))))

    def restore(self, state: DataState) -> None:
        """Continue at a state."""
        self.state = state
        self._iterator: Iterator[Any] | None = None
        self._lanes = dict(state.lanes)

    def take(self, total: int) -> list[Pack]:
        """Return this rank's share of the next `total` packs (of all ranks)."""
        if total % self.ranks:
            raise ValueError(f"{total} packs a step do not divide among {self.ranks} data ranks")
        if self._iterator is None:
            self._iterator = self._start()
        packs: list[Pack] = []
        while len(packs) < total // self.ranks:
            number, pack, cursor = next(self._iterator)
            self._lanes[number % self.source.config.lanes] = cursor
            if pack is not None:
                packs.append(pack)
        following, left = self.state.next, total
        while left:
            left -= not self.state.skipped(following, self.source.config.lanes)
            following += 1
        self.state = DataState(following, dict(self._lanes), self.state.skip)
        return packs

    def _start(self) -> Iterator[Any]:
        dataset = PackDataset(self.source, self.state, self.rank, self.ranks)
        workers = self.source.config.workers
        if not workers:
            return iter(dataset)
        context = "spawn"  # threads of pyarrow and CUDA do not survive a fork
        return iter(
            DataLoader(
                dataset, batch_size=None, num_workers=workers, multiprocessing_context=context
            )
        )

    def gather(self) -> DataState:
        """Return the whole run's state: every rank's lanes (a collective call)."""
        lanes = dict(self._lanes)
        if dist.is_initialized() and dist.get_world_size() > 1:
            parts: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(parts, lanes)
            for part in parts:
                for lane, cursor in part.items():
                    lanes[lane] = max(tuple(cursor), tuple(lanes.get(lane, (0, 0))))
        return DataState(self.state.next, lanes, self.state.skip)
