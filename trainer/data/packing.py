"""Samples to packs: best-fit decreasing within a window, bins shuffled, arrays assembled."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence

import numpy as np

from benben.trainer.counter import generator
from benben.trainer.data.batch import Pack
from benben.trainer.data.corpus import Slot
from benben.trainer.data.render import Sample
from benben.trainer.data.vocabulary import Vocabulary
from benben.trainer.longseq.tiling import IGNORE


def fit(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Put items into bins of `size`, each into the fullest bin that has room, longest first.

    Returns the items' numbers bin by bin. Raises ValueError for an item longer than a bin.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    room: list[tuple[int, int]] = []  # (room left, bin), sorted
    bins: list[list[int]] = []
    for item in order:
        length = lengths[item]
        if length > size:
            raise ValueError(f"an item of {length} tokens does not fit a pack of {size}")
        at = bisect.bisect_left(room, (length, -1))
        if at == len(room):
            bins.append([item])
            bisect.insort(room, (size - length, len(bins) - 1))
        else:
            left, number = room.pop(at)
            bins[number].append(item)
            bisect.insort(room, (left - length, number))
    return bins


def plan(samples: Sequence[Sample], size: int, *key: object) -> list[list[Sample]]:
    """Pack a window's samples. The last step shuffles bins and their contents.

    Without it packs would come ordered by document length, and the share of images would drift.
    """
    random = generator("bins", *key)
    bins = fit([sample.length for sample in samples], size)
    result = []
    for number in random.permutation(len(bins)):
        items = bins[number]
        result.append([samples[items[i]] for i in random.permutation(len(items))])
    return result


def assemble(
    samples: Sequence[Sample],
    size: int,
    vocabulary: Vocabulary,
    decode: Callable[[Slot], np.ndarray | None],
    image_size: int,
    number: int = -1,
) -> Pack:
    """Decode images and lay the samples out; an image that does not decode leaves its place.

    Labels are the next token within the document; images' marks, the padding and the last token
    of each document are ignored.
    """
    ids, labels, lengths, slots, pixels = [], [], [], [], []
    laid: list[Sample] = []
    captions: list[tuple[int, int]] = []
    for sample in samples:
        first = len(ids)
        behind_image = False
        for piece in sample.pieces:
            if behind_image and piece.caption:
                captions.append((len(ids), len(ids) + piece.caption))
            behind_image = False
            if piece.slot is not None:
                picture = decode(piece.slot)
                if picture is None:
                    continue
                slots.append(len(ids) + (1 if piece.ids[0] == vocabulary.fence else 0))
                pixels.append(picture)
                behind_image = True
            ids += piece.ids
        if len(ids) == first:
            continue
        laid.append(sample)
        tokens = np.array(ids[first:], np.int64)
        target = np.append(tokens[1:], IGNORE)
        target[np.isin(target, (vocabulary.image, vocabulary.fence))] = IGNORE
        labels += target.tolist()
        lengths.append(len(tokens))
    padding = size - len(ids)
    if padding:
        ids += [vocabulary.pad] * padding
        labels += [IGNORE] * padding
        lengths.append(padding)
    shape = (0, 3, image_size, image_size)
    return Pack(
        ids=np.array(ids, np.int32),
        labels=np.array(labels, np.int32),
        lengths=tuple(lengths),
        pixels=np.stack(pixels) if pixels else np.zeros(shape, np.float32),
        slots=tuple(slots),
        number=number,
        names=tuple(sample.name for sample in laid),
        languages=tuple(sample.lang for sample in laid),
        sizes=tuple(sum(p.size for p in sample.pieces) for sample in laid),
        captions=tuple(captions),
        padding=padding,
    )
