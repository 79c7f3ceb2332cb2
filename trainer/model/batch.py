"""What one forward pass works on: a packed sequence, its documents, and a rank's slice of it.

A `Pack` is on the host, a `Batch` is a rank's slice of it on the device; a `Layout` says where the
documents of either lie and is passed down to every layer.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

IGNORE = -100  # a label without a loss


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which sums over `dtype` are kept: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def bounds_of(lengths: Sequence[int]) -> tuple[int, ...]:
    """Return the borders of consecutive documents: 0 first, the total length last."""
    return (0, *itertools.accumulate(lengths))


@dataclass(frozen=True)
class Pack:
    """A packed sequence on the host.

    `ids` and `labels` are [T] (labels are shifted; -100 is ignored); `lengths` are those of the
    documents, padding last; `pixels` are [images, 3, H, W], uint8 as decoded or float32 as
    normalised; `slots` [images] say where each image's tokens begin. `names`, `languages` and
    `sizes` (bytes of text) describe the documents; `captions` are the tokens [a, b) of the first
    paragraph after an image; `number` is the pack's place in the order of the run.
    """

    ids: np.ndarray
    labels: np.ndarray
    lengths: tuple[int, ...]
    pixels: np.ndarray
    slots: tuple[int, ...]
    number: int = -1
    names: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    captions: tuple[tuple[int, int], ...] = ()
    padding: int = 0

    @property
    def bounds(self) -> tuple[int, ...]:
        return bounds_of(self.lengths)


def join(packs: Sequence[Pack]) -> Pack:
    """Concatenate packs: attention never crosses documents, so a batch is one longer sequence."""
    if len(packs) == 1:
        return packs[0]
    starts = bounds_of([len(p.ids) for p in packs])
    return Pack(
        ids=np.concatenate([p.ids for p in packs]),
        labels=np.concatenate([p.labels for p in packs]),
        lengths=tuple(n for p in packs for n in p.lengths),
        pixels=np.concatenate([p.pixels for p in packs]),
        slots=tuple(s + starts[i] for i, p in enumerate(packs) for s in p.slots),
        names=tuple(n for p in packs for n in p.names),
        languages=tuple(n for p in packs for n in p.languages),
        sizes=tuple(n for p in packs for n in p.sizes),
        captions=tuple(
            (a + starts[i], b + starts[i]) for i, p in enumerate(packs) for a, b in p.captions
        ),
        padding=sum(p.padding for p in packs),
    )


@dataclass(frozen=True)
class Layout:
    """The documents of a packed sequence of T tokens, and the slice of it that a rank works on.

    `lengths` are those of the documents in order (they sum to T); `start` and `stop` bound the
    slice. Tensors are made on the host and copied, so that it never waits for the device.
    """

    lengths: tuple[int, ...]
    start: int
    stop: int
    device: torch.device

    @staticmethod
    def of(
        lengths: list[int] | tuple[int, ...], device: torch.device, rank: int = 0, ranks: int = 1
    ) -> Layout:
        """Give `rank` of `ranks` an equal contiguous slice. Raises ValueError for a remainder."""
        total = sum(lengths)
        if total % ranks:
            raise ValueError(f"{total} tokens do not divide among {ranks} sequence ranks")
        part = total // ranks
        return Layout(tuple(lengths), rank * part, (rank + 1) * part, torch.device(device))

    @cached_property
    def bounds(self) -> tuple[int, ...]:
        """The borders of the documents: 0 first, T last."""
        return bounds_of(self.lengths)

    @cached_property
    def cumulative_lengths(self) -> Tensor:
        """The borders as the `cu_seqlens` of varlen attention, int32."""
        return to_device(torch.tensor(self.bounds, dtype=torch.int32), self.device)

    @cached_property
    def document(self) -> Tensor:
        """The document number of each token, [T] int32."""
        numbers = np.arange(len(self.lengths), dtype=np.int32)
        return to_device(torch.tensor(np.repeat(numbers, self.lengths)), self.device)

    @cached_property
    def positions(self) -> Tensor:
        """The position within its document of each token of the slice, [stop - start] int64."""
        first = np.repeat(np.array(self.bounds[:-1]), self.lengths)[self.start : self.stop]
        return to_device(torch.tensor(np.arange(self.start, self.stop) - first), self.device)

    @property
    def longest(self) -> int:
        return max(self.lengths)

    @property
    def pairs(self) -> int:
        """The sum of squared document lengths, which attention's cost is proportional to."""
        return sum(length * length for length in self.lengths)


class ImageSpan(NamedTuple):
    """Tokens [start, stop) of a rank's slice that need an image of the batch.

    `skipped` tokens of the same span lie before the slice.
    """

    start: int
    stop: int
    image: int
    skipped: int


@dataclass(frozen=True)
class Batch:
    """A rank's slice: its ids and labels, and the images that its tokens need."""

    ids: Tensor
    labels: Tensor
    layout: Layout
    pixels: Tensor
    spans: list[ImageSpan]

    @property
    def images(self) -> int:
        """How many images there are; without any, `pixels` holds one blank image."""
        return len(self.spans)

    @property
    def valid(self) -> int:
        """How many labels count."""
        return int((self.labels != IGNORE).sum())

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """Copy to the device, normalised images in `dtype`.

        uint8 images stay so: the model normalises them. The host does not wait for copies to CUDA.
        """
        pixels = to_device(self.pixels, device)
        return Batch(
            ids=to_device(self.ids, device),
            labels=to_device(self.labels, device),
            layout=dataclasses.replace(self.layout, device=device),
            pixels=pixels.to(dtype) if pixels.is_floating_point() else pixels,
            spans=self.spans,
        )


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device; to CUDA from pinned memory, without waiting."""
    if device.type != "cuda":
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)


def to_batch(
    pack: Pack,
    spans: Sequence[tuple[int, int]],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    rank: int = 0,
    ranks: int = 1,
) -> Batch:
    """Cut a sequence rank's slice out of a pack and bring it to the device."""
    return cut(pack, spans, rank, ranks).to(torch.device(device), dtype)


def cut(pack: Pack, spans: Sequence[tuple[int, int]], rank: int = 0, ranks: int = 1) -> Batch:
    """Cut a sequence rank's slice out of a pack, on the host.

    `spans` are the tokens [a, b) that need each image (`Fusion.spans`). Every rank whose slice has
    such tokens gets the image; the gradients add up over the ranks.
    """
    layout = Layout.of(pack.lengths, torch.device("cpu"), rank, ranks)
    start, stop = layout.start, layout.stop
    chosen = [i for i, (a, b) in enumerate(spans) if a < stop and b > start]
    local = []
    for image, (a, b) in enumerate(spans[i] for i in chosen):
        first = max(a, start)
        local.append(ImageSpan(first - start, min(b, stop) - start, image, first - a))
    blank = np.zeros((1, *pack.pixels.shape[1:]), pack.pixels.dtype)
    pixels = pack.pixels[chosen] if chosen else blank
    return Batch(
        ids=torch.from_numpy(pack.ids[start:stop].astype(np.int64)),
        labels=torch.from_numpy(pack.labels[start:stop].astype(np.int64)),
        layout=layout,
        pixels=torch.from_numpy(np.ascontiguousarray(pixels)),
        spans=local,
    )
