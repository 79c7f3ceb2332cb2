"""What one forward pass gets: a rank's slice of a packed sequence and the images it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benben.trainer.longseq.tiling import IGNORE
from benben.trainer.model.layout import Layout


@dataclass(frozen=True)
class Pack:
    """A packed sequence on the host.

    `ids`, `labels` [T] (labels shifted, -100 ignored); `lengths` of the documents, padding last;
    `pixels` [images, 3, H, W] float32; `slots` [images]: where each image's tokens begin.
    `names`, `languages`, `sizes` (bytes of text) tell the documents; `captions` are the tokens
    [a, b) of the first paragraph behind an image; `number` is the pack's place in the run's order.
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


@dataclass(frozen=True)
class Batch:
    """A rank's part: ids and labels of its slice, and images with the places they fill.

    Image token t of the slice is `features.flatten(0, 1)[source]` at local index `target`.
    `runs` (cross fusion): local tokens [a, b) see local image i.
    """

    ids: Tensor
    labels: Tensor
    layout: Layout
    pixels: Tensor
    target: Tensor
    source: Tensor
    runs: list[tuple[int, int, int]]
    images: int  # real ones; with none, `pixels` holds one blank image

    @property
    def valid(self) -> int:
        return int((self.labels != IGNORE).sum())


def join(packs: Sequence[Pack]) -> Pack:
    """Concatenate packs: attention never crosses documents, so a batch is one longer sequence."""
    if len(packs) == 1:
        return packs[0]
    starts = np.cumsum([0, *(len(p.ids) for p in packs)])
    slots = [s + int(starts[i]) for i, p in enumerate(packs) for s in p.slots]
    return Pack(
        ids=np.concatenate([p.ids for p in packs]),
        labels=np.concatenate([p.labels for p in packs]),
        lengths=tuple(n for p in packs for n in p.lengths),
        pixels=np.concatenate([p.pixels for p in packs]),
        slots=tuple(slots),
        names=tuple(n for p in packs for n in p.names),
        languages=tuple(n for p in packs for n in p.languages),
        sizes=tuple(n for p in packs for n in p.sizes),
        captions=tuple(
            (a + int(starts[i]), b + int(starts[i]))
            for i, p in enumerate(packs)
            for a, b in p.captions
        ),
        padding=sum(p.padding for p in packs),
    )


def to_batch(
    pack: Pack,
    tokens_per_image: int,
    fusion: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    rank: int = 0,
    ranks: int = 1,
) -> Batch:
    """Cut a sequence rank's slice out of a pack.

    An image is given to every rank whose slice needs it: early fusion where its tokens lie, cross
    fusion where tokens that see it lie; its gradients add up over the ranks.
    """
    device = torch.device(device)
    layout = Layout.of(pack.lengths, device, rank, ranks)
    start, stop = layout.start, layout.stop
    if fusion == "cross":
        spans = _sight(pack, layout.bounds)
    else:
        spans = [(s, s + tokens_per_image) for s in pack.slots]
    chosen = [i for i, (a, b) in enumerate(spans) if a < stop and b > start]
    target, source, runs = [], [], []
    for local, i in enumerate(chosen):
        a, b = max(spans[i][0], start), min(spans[i][1], stop)
        runs.append((a - start, b - start, local))
        if fusion == "early":
            target += range(a - start, b - start)
            first = local * tokens_per_image + a - spans[i][0]
            source += range(first, first + b - a)
    size = pack.pixels.shape[1:]
    pixels = pack.pixels[chosen] if chosen else np.zeros((1, *size), np.float32)
    return Batch(
        ids=torch.from_numpy(pack.ids[start:stop].astype(np.int64)).to(device),
        labels=torch.from_numpy(pack.labels[start:stop].astype(np.int64)).to(device),
        layout=layout,
        pixels=torch.from_numpy(np.ascontiguousarray(pixels)).to(device, dtype),
        target=torch.tensor(target, dtype=torch.int64, device=device),
        source=torch.tensor(source, dtype=torch.int64, device=device),
        runs=runs if fusion == "cross" else [],
        images=len(chosen),
    )


def _sight(pack: Pack, bounds: Sequence[int]) -> list[tuple[int, int]]:
    """Return for each image the tokens that see it: from itself to the next one or the end."""
    spans = []
    for i, slot in enumerate(pack.slots):
        end = next(b for b in bounds if b > slot)
        if i + 1 < len(pack.slots):
            end = min(end, pack.slots[i + 1])
        spans.append((slot, end))
    return spans
