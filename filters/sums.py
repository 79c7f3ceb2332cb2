"""Counts of documents over the nodes that are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters.columns import Integers, Nested, paragraph_count, to_numpy
from benben.filters.rule import Floats, Mask
from benben.filters.signals.repetition import CHARACTERS, WORDS, sum_of_most
from benben.pipeline.compiled import borrowed, compiled

Places = NDArray[np.int32]
SEPARATOR = 2  # a blank line joins paragraphs: OBELICS's document text counts its two newlines
REPEATS = {"repeated_chars": CHARACTERS, "repeated_words": WORDS}


@compiled
def _count_kept(
    wanted: Mask, offsets: Places, places: Places, first: Integers, kept: Mask, counts: Integers
) -> None:
    """Count the kept paragraphs of each wanted pattern; `first`: its document's first paragraph."""
    places, kept = borrowed(places), borrowed(kept)
    for pattern in range(len(counts)):
        if wanted[pattern]:
            for place in range(offsets[pattern], offsets[pattern + 1]):
                counts[pattern] += kept[first[pattern] + places[place]]


class Sums:
    """Counts of each document of a batch of SIGNALS over kept paragraphs and images."""

    def __init__(
        self,
        signals: pa.RecordBatch,
        paragraphs: Nested,
        images: Nested,
        kept_paragraphs: Mask,
        kept_images: Mask,
        nsfw_images: Mask | None,
    ) -> None:
        self._signals, self._paragraphs, self._images = signals, paragraphs, images
        self._kept_paragraphs, self._kept_images = kept_paragraphs, kept_images
        self._known: dict[str, Any] = {}
        self._special: dict[str, Callable[[], Floats]] = {
            "paragraphs": lambda: self._number(paragraphs.document[kept_paragraphs]),
            "images": lambda: self._number(images.document[kept_images]),
            "nsfw_images": lambda: self._nsfw(nsfw_images),
            "text_nodes": self._text_nodes,
            "with_alt": lambda: self._images_with("alt_words"),
            "with_caption": lambda: self._images_with("caption_words"),
        }

    def __call__(self, name: str) -> Any:
        """A count of each document; NaN where a part is not known."""
        if name not in self._known:
            self._known[name] = self._count(name)
        return self._known[name]

    def _count(self, name: str) -> Any:
        if name in self._special:
            return self._special[name]()
        if name in REPEATS:
            return self._repeated(REPEATS[name])
        if name in self._signals.schema.names:
            return to_numpy(self._signals.column(name))
        total = self._sum(paragraph_count(self._paragraphs, name))
        if name in ("chars", "special"):
            total += SEPARATOR * np.maximum(self("paragraphs") - 1, 0)
        return total

    def _number(self, document: Integers) -> Floats:
        return np.bincount(document, minlength=self._signals.num_rows).astype(np.float64)

    def _sum(self, values: Floats) -> Floats:
        """Sum over kept paragraphs; NaN for a document with a paragraph that was not measured."""
        mask, document = self._kept_paragraphs, self._paragraphs.document
        total = _bincount(document[mask], values[mask], self._signals.num_rows)
        total[document[np.isnan(values)]] = np.nan
        return total

    def _images_with(self, name: str) -> Floats:
        return self._number(self._images.document[self._kept_images & (self._images(name) > 0)])

    def _nsfw(self, mask: Mask | None) -> Floats:
        if mask is None:
            return np.full(self._signals.num_rows, np.nan)
        return self._number(self._images.document[mask])

    def _text_nodes(self) -> Floats:
        document = self._paragraphs.document[self._kept_paragraphs]
        index = self._paragraphs.integers("index")[self._kept_paragraphs]
        new = np.append(True, (document[1:] != document[:-1]) | (index[1:] != index[:-1]))
        return self._number(document[new[: len(document)]])

    def _repeated(self, size: int) -> Floats:
        """Occurrences of repeated n-grams, as in a paragraph, from the patterns of repeats."""
        repeats = Nested(self._signals.column("repeats"))
        inside = repeats.entries.field("paragraphs")
        sizes = repeats.entries.field("size").to_numpy()
        places, offsets = inside.values.to_numpy(), inside.offsets.to_numpy()
        counts = np.zeros(len(repeats), np.int64)
        first, kept = self._paragraphs.first[repeats.document], self._kept_paragraphs
        _count_kept(sizes == size, offsets, places, first, kept, counts)
        document, grams = repeats.document, repeats.entries.field("grams").to_numpy()
        often = counts > 1
        document, counts, grams = document[often], counts[often], grams[often]
        documents = self._signals.num_rows
        if size == WORDS:
            return _bincount(document, counts * grams, documents)
        extra = _bincount(document, (counts - 1) * grams, documents)
        distinct = (self("char_grams") - extra).astype(np.int64)
        return sum_of_most(document, counts, grams, distinct).astype(np.float64)


def _bincount(rows: Integers, weights: NDArray[Any], size: int) -> Floats:
    return np.bincount(rows, weights, size).astype(np.float64)  # of nothing it gives integers
