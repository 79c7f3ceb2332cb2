"""The packs of a run in one global order, for any number of ranks and workers, exactly resumable.

Pack n comes from lane n mod L; lane l packs the windows l, l + L, l + 2L and so on of the mixture's
order. A data-parallel rank reads the packs n with n mod dp equal to its rank, so dp must divide L:
then one rank alone tokenises each document, and the order does not depend on the number of ranks.
The state is the number of the next pack and, to resume without replaying, the (window, offset) of
each lane.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch.distributed as dist
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from benben.common.errors import UserError
from benben.trainer.data.corpus import Corpus, Document, ImageStore, Slot, decode, held_out
from benben.trainer.data.order import Mixture, Stream, language_weights
from benben.trainer.data.packing import Renderer, Sample, Vocabulary, assemble, plan
from benben.trainer.model.batch import Pack
from benben.trainer.model.fusion import Fusion
from benben.trainer.settings import DataConfig

Cursor = tuple[int, int]  # window, offset in it
ORDER_SETTINGS = (
    *("languages", "seq_len", "max_images", "window", "lanes", "block", "seed"),
    *("eval_split", "holdout", "holdout_by"),
)  # settings that decide which documents are in which pack


class NoDocuments(UserError):
    """A split without documents."""


class DataSource:
    """The corpora of a run: their mixture, rendering and images. Pickled to the workers.

    With `evaluation` it gives the held-out documents alone, else all others.
    """

    def __init__(
        self,
        config: DataConfig,
        vocabulary: Vocabulary,
        fusion: Fusion,
        image_size: int = 32,
        family: str = "siglip",
        evaluation: bool = False,
    ) -> None:
        self.config, self.vocabulary = config, vocabulary
        self.image_size, self.family, self.evaluation = image_size, family, evaluation
        self.renderer = Renderer(vocabulary, config.seq_len, config.max_images, fusion)
        self.corpora = [Corpus(entry.path, entry.name, entry.split) for entry in config.mix]
        self.stores = [
            ImageStore(entry.images) if entry.images and fusion.tokens_per_image else None
            for entry in config.mix
        ]
        self.mixture = self._mix()

    def has_images(self) -> bool:
        """Tell whether any corpus has the bytes of images, beside its documents or in them."""
        return any(s is not None for s in self.stores) or any(
            corpus.holds_images() for corpus in self.corpora
        )

    def fingerprint(self) -> dict[str, Any]:
        """Return what the order of the packs depends on, by setting: equal for equal packs."""
        config = self.config
        shared = config.model_dump(mode="json", include=set(ORDER_SETTINGS))
        corpora = [
            {"split": entry.split, "weight": entry.weight, "files": corpus.fingerprint}
            for entry, corpus in zip(config.mix, self.corpora, strict=True)
        ]
        return {"corpora": corpora, **shared, "tokenizer": self.vocabulary.fingerprint()}

    def _mix(self) -> Mixture:
        streams: list[Stream] = []
        weights: list[float] = []
        config = self.config
        for number, (corpus, entry) in enumerate(zip(self.corpora, config.mix, strict=True)):
            make = (number, corpus.group_sizes, config.block, config.seed)
            if config.languages is None:
                streams.append(Stream(*make, corpus.name))
                weights.append(entry.weight)
                continue
            column = corpus.languages()
            names, counts = np.unique(column.astype(str), return_counts=True)
            shares = language_weights(
                dict(zip(names.tolist(), counts.tolist(), strict=True)), config.languages
            )
            for lang, share in shares.items():
                ids = np.flatnonzero(column == lang)
                streams.append(Stream(*make, f"{corpus.name}/{lang}", ids))
                weights.append(entry.weight * share / sum(shares.values()))
        return Mixture(streams, weights, config.window)

    def samples(self, window: int) -> list[Sample]:
        """Return the samples of this split in a window, in the mixture's order."""
        picks = self.mixture.window(window)
        result: list[Sample] = []
        for number, store in enumerate(self.stores):
            chosen = sorted((p for p in picks if p.corpus == number), key=lambda p: p.document)
            documents = [
                d for p in chosen if self._wanted(d := self.corpora[number].read(p.document))
            ]
            result += self.renderer.render(documents, functools.partial(_available, store=store))
        return result

    def _wanted(self, document: Document) -> bool:
        if self.config.eval_split is not None:  # a split of its own: nothing is held out
            return True
        out = held_out(document, self.config.holdout, self.config.holdout_by)
        return out == self.evaluation

    def assemble(self, samples: list[Sample], number: int) -> Pack:
        return assemble(
            samples, self.config.seq_len, self.vocabulary, self.pixels, self.image_size, number
        )

    def pixels(self, slot: Slot) -> np.ndarray | None:
        """Return the pixels of a slot; None if its bytes are missing or do not decode."""
        data = slot.data
        if data is None and slot.sha256:
            found = (s.read(slot.sha256) for s in self.stores if s is not None)
            data = next((d for d in found if d is not None), None)
        return decode(data, self.image_size, self.family) if data else None

    def texts(self, limit: int) -> Iterator[str]:
        """Yield the texts of training documents among the first `limit` of the order."""
        window = seen = 0
        while seen < limit:
            for pick in self.mixture.window(window):
                if pick.epoch:
                    return
                document = self.corpora[pick.corpus].read(pick.document)
                seen += 1
                if self._wanted(document):
                    yield from (slot.text for slot in document.slots if slot.text is not None)
            window += 1


def _available(slot: Slot, store: ImageStore | None) -> bool:
    return slot.data is not None or bool(store and slot.sha256 and slot.sha256 in store)


@dataclass(frozen=True)
class DataState:
    """Where a run is in its data."""

    next: int = 0
    lanes: dict[int, Cursor] = field(default_factory=dict)  # only lanes that have begun
    skip: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        lanes = {str(lane): list(cursor) for lane, cursor in sorted(self.lanes.items())}
        return {"next": self.next, "lanes": lanes, "skip": [list(s) for s in self.skip]}

    @staticmethod
    def from_json(data: dict[str, Any]) -> DataState:
        lanes = {int(lane): (w, o) for lane, (w, o) in data["lanes"].items()}
        return DataState(data["next"], lanes, tuple((a, b) for a, b in data["skip"]))

    def skipped(self, number: int, lanes: int) -> bool:
        """Whether a pack is left out of training. Ranges widen to whole rounds of the lanes."""
        turn = number // lanes
        return any(a // lanes <= turn < -(-b // lanes) for a, b in self.skip)


class Lane:
    """The packs of one lane, from a cursor onwards."""

    def __init__(self, source: DataSource, lane: int, cursor: Cursor | None) -> None:
        self.source, self.stride = source, source.config.lanes
        self.window, self.offset = cursor or (lane, 0)
        self.bins: list[list[Sample]] | None = None

    def take(self) -> tuple[list[Sample], Cursor]:
        """Return the samples of the next pack, and the cursor after it. Raises NoDocuments."""
        empty = 0  # windows in a row without a document of this split
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
    """Yields a rank's packs in order: (number, pack or None if it is skipped, cursor after it)."""

    def __init__(self, source: DataSource, state: DataState, rank: int, ranks: int) -> None:
        self.source, self.state, self.rank, self.ranks = source, state, rank, ranks

    def __iter__(self) -> Iterator[tuple[int, Pack | None, Cursor]]:
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
    """Hands a rank its packs and knows the exact position after them.

    Raises ValueError where the lanes do not divide among the ranks, or among the workers of one.
    """

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
        self.restore(state or DataState(skip=tuple(source.config.skip)))

    def restore(self, state: DataState) -> None:
        """Continue at a state."""
        self.state = state
        self._iterator: Iterator[Any] | None = None
        self._lanes = dict(state.lanes)

    def take(self, total: int) -> list[Pack]:
        """Return this rank's share of the next `total` packs, counted over all ranks."""
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
        """Return the state of the whole run, with the lanes of every rank; a collective call."""
        lanes = dict(self._lanes)
        if dist.is_initialized() and dist.get_world_size() > 1:
            parts: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(parts, lanes)
            for part in parts:
                for lane, cursor in part.items():
                    lanes[lane] = max(tuple(cursor), tuple(lanes.get(lane, (0, 0))))
        return DataState(self.state.next, lanes, self.state.skip)
