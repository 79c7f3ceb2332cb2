"""The corpora of a run put together: mixture, rendering, image access. Picklable for workers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benben.trainer.data import images
from benben.trainer.data.batch import Pack
from benben.trainer.data.corpus import Corpus, Document, Slot, held_out
from benben.trainer.data.order import Mixture, Stream, language_weights
from benben.trainer.data.packing import assemble
from benben.trainer.data.render import Renderer, Sample
from benben.trainer.data.vocabulary import Vocabulary
from benben.trainer.settings import DataConfig


class DataSource:
    """`evaluation` turns the split round: held-out documents alone."""

    def __init__(
        self,
        config: DataConfig,
        vocabulary: Vocabulary,
        tokens_per_image: int,
        fusion: str,
        image_size: int = 32,
        family: str = "siglip",
        evaluation: bool = False,
    ) -> None:
        self.config, self.vocabulary = config, vocabulary
        self.image_size, self.family, self.evaluation = image_size, family, evaluation
        self.renderer = Renderer(
            vocabulary, config.seq_len, config.max_images, tokens_per_image, fusion
        )
        self.corpora = [Corpus(entry.path, entry.name) for entry in config.mix]
        self.stores = [
            images.ImageStore(entry.images) if entry.images and tokens_per_image else None
            for entry in config.mix
        ]
        self.mixture = self._mix()

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
        """Return a window's samples of this split, in the mixture's order."""
        picks = self.mixture.window(window)
        result: list[Sample] = []
        for number, store in enumerate(self.stores):
            chosen = sorted((p for p in picks if p.corpus == number), key=lambda p: p.document)
            documents = [
                d for p in chosen if self._wanted(d := self.corpora[number].read(p.document))
            ]
            result += self.renderer.render(documents, lambda slot, s=store: _available(slot, s))
        return result

    def _wanted(self, document: Document) -> bool:
        out = held_out(document, self.config.holdout, self.config.holdout_by)
        return out == self.evaluation

    def assemble(self, samples: list[Sample], number: int) -> Pack:
        return assemble(
            samples, self.config.seq_len, self.vocabulary, self.pixels, self.image_size, number
        )

    def pixels(self, slot: Slot) -> np.ndarray | None:
        """Return a slot's pixels, None when its bytes are missing or do not decode."""
        data = slot.data
        if data is None and slot.sha256:
            found = (s.read(slot.sha256) for s in self.stores if s is not None)
            data = next((d for d in found if d is not None), None)
        return images.decode(data, self.image_size, self.family) if data else None

    def texts(self, limit: int) -> Iterator[str]:
        """Yield training documents' texts, the first `limit` documents of the order."""
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


def _available(slot: Slot, store: images.ImageStore | None) -> bool:
    return slot.data is not None or bool(store and slot.sha256 and slot.sha256 in store)
