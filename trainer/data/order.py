"""The order of documents as a pure function of position, and where a run is in it.

An epoch permutes row groups, then rows within blocks of the result (so that few row groups are
open at a time). A mixture takes its share of every window from each stream. In the order of the
file: streams, mixtures, a run's position and how it goes on when documents have left.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from benben.trainer.counter_rng import generator


class Stream:
    """Endless epochs over documents; `ids` restricts to a subset (such as one language)."""

    def __init__(
        self,
        corpus: int,
        group_sizes: np.ndarray,
        block: int,
        seed: int,
        name: str,
        ids: np.ndarray | None = None,
    ) -> None:
        self.corpus, self.block, self.seed, self.name, self.ids = corpus, block, seed, name, ids
        starts = np.concatenate([[0], np.cumsum(group_sizes)])
        if ids is not None:  # positions in `ids` of each row group
            starts = np.searchsorted(ids, starts)
        self.starts, self.sizes = starts[:-1], np.diff(starts)
        self.length = int(starts[-1])
        if not self.length:
            raise ValueError(f"{name}: no documents")

    def take(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return (epoch, document) at positions [start, stop) of the endless order."""
        result: list[tuple[int, int]] = []
        while start < stop:
            epoch, first = divmod(start, self.length)
            last = min(self.length, first + stop - start)
            result += [(epoch, int(d)) for d in self._slice(epoch, first, last)]
            start += last - first
        return result

    def _slice(self, epoch: int, first: int, last: int) -> np.ndarray:
        blocks = range(first // self.block, -(-last // self.block))
        rows = np.concatenate([_block(self, epoch, b) for b in blocks])
        offset = blocks[0] * self.block
        rows = rows[first - offset : last - offset]
        return rows if self.ids is None else self.ids[rows]


@functools.lru_cache(maxsize=64)
def _groups(stream: Stream, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    order = generator("groups", stream.seed, stream.name, epoch).permutation(len(stream.sizes))
    return order, np.concatenate([[0], np.cumsum(stream.sizes[order])])


@functools.lru_cache(maxsize=64)
def _block(stream: Stream, epoch: int, block: int) -> np.ndarray:
    order, bounds = _groups(stream, epoch)
    first, last = block * stream.block, min((block + 1) * stream.block, stream.length)
    places = np.arange(first, last)
    group = np.searchsorted(bounds, places, side="right") - 1
    rows = stream.starts[order[group]] + places - bounds[group]
    shuffle = generator("rows", stream.seed, stream.name, epoch, block).permutation(len(rows))
    return rows[shuffle]


@dataclass(frozen=True)
class Pick:
    """A document of a window."""

    corpus: int
    epoch: int
    document: int


class Mixture:
    """Streams by weight: window k holds documents floor(k M w) .. floor((k+1) M w) of each."""

    def __init__(self, streams: Sequence[Stream], weights: Sequence[float], size: int) -> None:
        self.streams, self.size = list(streams), size
        total = sum(Fraction(w).limit_denominator(10**6) for w in weights)
        self.shares = [Fraction(w).limit_denominator(10**6) / total for w in weights]

    def epoch(self) -> int:
        """Return the number of windows after which every document of every stream was seen."""
        pairs = zip(self.streams, self.shares, strict=True)
        return max(-(-stream.length // (self.size * share)) for stream, share in pairs)

    def window(self, number: int) -> list[Pick]:
        """Return the documents of a window, stream after stream."""
        picks: list[Pick] = []
        for stream, share in zip(self.streams, self.shares, strict=True):
            start = int(number * self.size * share)
            stop = int((number + 1) * self.size * share)
            picks += [Pick(stream.corpus, e, d) for e, d in stream.take(start, stop)]
        return picks


def language_weights(counts: dict[str, int], setting: dict[str, float] | float) -> dict[str, float]:
    """Return sampling weights: as given (languages not named are left out), or n ** alpha."""
    if isinstance(setting, dict):
        return {lang: setting[lang] for lang in sorted(counts) if setting.get(lang, 0) > 0}
    return {lang: float(counts[lang]) ** setting for lang in sorted(counts)}


# Where a run is.


class Part(NamedTuple):
    """A sample of a document: which one, in which epoch, and of how many tokens the document is."""

    corpus: int
    epoch: int
    document: int  # its number in the corpus as it was when the run began
    part: int
    tokens: int


class LaneState(NamedTuple):
    """Where a lane is: the next pack of a window, and what the window gave so far.

    `done` was given before the window's packs were planned anew, `given` since.
    """

    window: int = 0
    offset: int = 0
    done: tuple[Part, ...] = ()
    given: tuple[Part, ...] = ()

    def after(self, window: int, offset: int, parts: tuple[Part, ...]) -> LaneState:
        """Return the state after a pack of these parts."""
        if window != self.window or not self.offset:
            done = self.done if window == self.window else ()
            return LaneState(window, offset, done, parts)
        return LaneState(window, offset, self.done, (*self.given, *parts))

    def replanned(self) -> LaneState:
        """Return the state from which the rest of the window is packed anew."""
        return LaneState(self.window, 0, (*self.done, *self.given)) if self.offset else self


@dataclass(frozen=True)
class DataState:
    """Where a run is in its data."""

    next: int = 0
    lanes: dict[int, LaneState] = field(default_factory=dict)  # only lanes that have begun
    skip: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        lanes = {
            str(lane): [s.window, s.offset, *([list(p) for p in parts] for parts in s[2:])]
            for lane, s in sorted(self.lanes.items())
        }
        return {"next": self.next, "lanes": lanes, "skip": [list(s) for s in self.skip]}

    @staticmethod
    def from_json(data: dict[str, Any]) -> DataState:
        lanes = {
            int(lane): LaneState(w, o, *(tuple(Part(*p) for p in some) for some in parts))
            for lane, (w, o, *parts) in data["lanes"].items()
        }
        return DataState(data["next"], lanes, tuple((a, b) for a, b in data["skip"]))

    def skipped(self, number: int, lanes: int) -> bool:
        """Whether a pack is left out of training. Ranges widen to whole rounds of the lanes."""
        turn = number // lanes
        return any(a // lanes <= turn < -(-b // lanes) for a, b in self.skip)

    def after_removal(self, lanes: int) -> DataState:
        """Return the state from which a run goes on when documents have left its corpora.

        All windows keep the documents that remain. Windows that were begun are packed anew without
        what they gave, since the length of what left is not known. Packs ahead have other contents
        then, so ranges to skip that reach ahead are dropped.
        """
        turn = -(-self.next // lanes)
        skip = tuple((a, b) for a, b in self.skip if -(-b // lanes) <= turn)
        replanned = {lane: state.replanned() for lane, state in self.lanes.items()}
        return DataState(self.next, replanned, skip)
