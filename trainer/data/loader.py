"""The packs of a run in one global order, for any number of ranks and workers, exactly resumable.

Pack n comes from lane n mod L; lane l packs the windows l, l + L, l + 2L and so on of the mixture's
order. A data-parallel rank reads the packs n with n mod dp equal to its rank, so dp must divide L:
then one rank alone tokenises each document, and the order does not depend on the number of ranks.
The state is the number of the next pack and, to resume without replaying, the (window, offset) of
each lane.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch.distributed as dist
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from benben.common.errors import UserError
from benben.trainer.data.corpus import Corpus, Document, ImageStore, Slot, decode, held_out
from benben.trainer.data.order import (
    DataState,
    LaneState,
    Mixture,
    Part,
    Pick,
    Stream,
    language_weights,
)
from benben.trainer.data.packing import Renderer, Sample, Vocabulary, assemble, plan
from benben.trainer.data.roster import GONE, Roster, name_of
from benben.trainer.model.batch import Pack
from benben.trainer.model.fusion import Fusion
from benben.trainer.settings import DataConfig

ORDER_SETTINGS = (
    *("languages", "seq_len", "max_images", "window", "lanes", "block", "seed"),
    *("eval_split", "holdout", "holdout_by"),
)  # settings that decide which documents are in which pack


class NoDocuments(UserError):
    """A split without documents."""


class DataSource:
    """The corpora of a run: their mixture, rendering and images. Pickled to the workers.

    With `evaluation` it gives the held-out documents alone, else all others. `places` says for each
    corpus where the documents are that the run began with, after some have left.
    """

    def __init__(
        self,
        config: DataConfig,
        vocabulary: Vocabulary,
        fusion: Fusion,
        image_size: int = 32,
        evaluation: bool = False,
    ) -> None:
        self.config, self.vocabulary = config, vocabulary
        self.image_size, self.evaluation = image_size, evaluation
        self.renderer = Renderer(vocabulary, config.seq_len, config.max_images, fusion)
        self.corpora = [Corpus(entry.path, entry.name, entry.split) for entry in config.mix]
        self.stores = [
            ImageStore(entry.images) if entry.images and fusion.tokens_per_image else None
            for entry in config.mix
        ]
        self._began_with: str | None = None
        self.places: list[np.ndarray] | None = None
        self.mixture = self._mix(None)

    @property
    def began_with(self) -> str:
        """The name of the roster of the documents that the order is made of."""
        return self._began_with or name_of(self.corpora)

    def roster(self) -> Roster | None:
        """Return the documents of the order; None where ids do not tell them apart."""
        return Roster.of(self.corpora, self.config.languages is not None)

    def as_begun(self, roster: Roster, name: str) -> DataSource:
        """Return this source in the order of the documents that a run began with.

        Documents that have left are missing in it. Raises OtherDocuments where others have come.
        """
        source = copy.copy(self)
        pairs = enumerate(self.corpora)
        source.places = [roster.places(number, corpus) for number, corpus in pairs]
        source._began_with, source.mixture = name, self._mix(roster)
        return source

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
            {
                "name": entry.name or str(number),  # it seeds the order; a path does not
                "split": entry.split,
                "weight": entry.weight,
                "files": corpus.fingerprint,
            }
            for number, (entry, corpus) in enumerate(zip(config.mix, self.corpora, strict=True))
        ]
        return {"corpora": corpora, **shared, "tokenizer": self.vocabulary.fingerprint()}

    def _mix(self, roster: Roster | None) -> Mixture:
        streams: list[Stream] = []
        weights: list[float] = []
        config = self.config
        for number, (corpus, entry) in enumerate(zip(self.corpora, config.mix, strict=True)):
            sizes = roster.group_sizes[number] if roster else corpus.group_sizes
            make, name = (number, sizes, config.block, config.seed), entry.name or str(number)
            if config.languages is None:
                streams.append(Stream(*make, name))
                weights.append(entry.weight)
                continue
            kept = roster.languages[number] if roster else None
            column = corpus.languages() if kept is None else kept
            names, counts = np.unique(column.astype(str), return_counts=True)
            shares = language_weights(
                dict(zip(names.tolist(), counts.tolist(), strict=True)), config.languages
            )
            for lang, share in shares.items():
                ids = np.flatnonzero(column == lang)
                streams.append(Stream(*make, f"{name}/{lang}", ids))
                weights.append(entry.weight * share / sum(shares.values()))
        return Mixture(streams, weights, config.window)

    def samples(self, window: int) -> list[Sample]:
        """Return the samples of this split in a window, in the mixture's order.

        They hold the bytes of their images, which are read for all of them at once.
        """
        picks = self.mixture.window(window)
        result: list[Sample] = []
        for number, store in enumerate(self.stores):
            chosen = sorted((p for p in picks if p.corpus == number), key=lambda p: p.document)
            found = (self._read(pick) for pick in chosen)
            documents = [d for d in found if d is not None and self._wanted(d)]
            result += self.renderer.render(documents, functools.partial(_available, store=store))
        return self._with_images(result)

    def _with_images(self, samples: list[Sample]) -> list[Sample]:
        slots = [piece.slot for sample in samples for piece in sample.pieces]
        wanted = {s.sha256 for s in slots if s is not None and s.data is None and s.sha256}
        found: dict[str, bytes] = {}
        for store in self.stores:
            if store is not None:
                found |= store.read_all(wanted - set(found))
        return [_filled(sample, found) for sample in samples] if found else samples

    def _read(self, pick: Pick) -> Document | None:
        """Return a document of the order; None if it has left."""
        row = pick.document
        if self.places is not None:
            row = int(self.places[pick.corpus][row])
        if row == GONE:
            return None
        place = (pick.corpus, pick.epoch, pick.document)
        return dataclasses.replace(self.corpora[pick.corpus].read(row), place=place)

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
        return decode(slot.data, self.image_size) if slot.data else None

    def texts(self, limit: int) -> Iterator[str]:
        """Yield the texts of training documents among the first `limit` of the order."""
        window = seen = 0
        while seen < limit:
            for pick in self.mixture.window(window):
                if pick.epoch:
                    return
                document = self._read(pick)
                seen += 1
                if document is not None and self._wanted(document):
                    yield from (slot.text for slot in document.slots if slot.text is not None)
            window += 1


def _filled(sample: Sample, found: Mapping[str, bytes]) -> Sample:
    """Return a sample whose images have their bytes."""
    pieces = tuple(
        dataclasses.replace(piece, slot=dataclasses.replace(piece.slot, data=found[digest]))
        if piece.slot is not None and (digest := piece.slot.sha256 or "") in found
        else piece
        for piece in sample.pieces
    )
    return dataclasses.replace(sample, pieces=pieces)


def _available(slot: Slot, store: ImageStore | None) -> bool:
    return slot.data is not None or bool(store and slot.sha256 and slot.sha256 in store)


class Lane:
    """The packs of one lane, from a state onwards."""

    def __init__(self, source: DataSource, lane: int, state: LaneState | None) -> None:
        self.source, self.stride = source, source.config.lanes
        state = state or LaneState(lane)
        self.window, self.offset, self.done = state.window, state.offset, state.done
        self.bins: list[list[Sample]] | None = None

    def take(self) -> tuple[list[Sample], int, int]:
        """Return the samples of the next pack, its window and its end in it. Raises NoDocuments."""
        empty = 0  # windows in a row without a document of this split
        while True:
            if self.bins is None:
                samples = remaining(self.source.samples(self.window), self.done)
                config = self.source.config
                self.bins = plan(samples, config.seq_len, config.seed, self.window)
                empty = 0 if self.bins else empty + 1
                if empty * self.stride > self.source.mixture.epoch() + self.stride:
                    raise NoDocuments("the data has no usable document for this split")
            if self.offset < len(self.bins):
                self.offset += 1
                taken, self.bins[self.offset - 1] = self.bins[self.offset - 1], []  # frees images
                return taken, self.window, self.offset
            self.window, self.offset, self.bins = self.window + self.stride, 0, None
            self.done = ()


def remaining(samples: list[Sample], done: Sequence[Part]) -> list[Sample]:
    """Return the samples of a window that were not given yet.

    Of a document that was begun and has other tokens now, as without an image that was taken down,
    none is left: its cuts have moved, and no text may be given twice.
    """
    if not done:
        return samples
    given, begun = set(done), {part[:3]: part.tokens for part in done}
    return [
        sample
        for sample in samples
        if begun.get(sample.part[:3], sample.part.tokens) == sample.part.tokens
        and sample.part not in given
    ]


class PackDataset(IterableDataset):  # type: ignore[type-arg]
    """Yields a rank's packs in order: number, pack, window, end in it, parts of documents.

    The pack is None where it is skipped.
    """

    def __init__(self, source: DataSource, state: DataState, rank: int, ranks: int) -> None:
        self.source, self.state, self.rank, self.ranks = source, state, rank, ranks

    def __iter__(self) -> Iterator[tuple[int, Pack | None, int, int, tuple[Part, ...]]]:
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
            samples, window, end = lanes[at].take()
            skipped = self.state.skipped(number, total)
            pack = None if skipped else self.source.assemble(samples, number)
            yield number, pack, window, end, tuple(sample.part for sample in samples)
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

    def restore(self, state: DataState, source: DataSource | None = None) -> None:
        """Continue at a state, of the documents of another source where one is given."""
        self.state, self.source = state, source or self.source
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
            number, pack, window, end, parts = next(self._iterator)
            lane = number % self.source.config.lanes
            before = self._lanes.get(lane, LaneState(lane))
            self._lanes[lane] = before.after(window, end, parts)
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
                dataset,
                batch_size=None,
                num_workers=workers,
                multiprocessing_context=context,
                prefetch_factor=self.source.config.prefetch,
            )
        )

    def gather(self) -> DataState:
        """Return the state of the whole run, with the lanes of every rank; a collective call."""
        lanes = dict(self._lanes)
        if dist.is_initialized() and dist.get_world_size() > 1:
            parts: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(parts, lanes)
            for part in parts:
                for lane, state in part.items():
                    lanes[lane] = max(state, lanes.get(lane, LaneState()))
        return DataState(self.state.next, lanes, self.state.skip)
