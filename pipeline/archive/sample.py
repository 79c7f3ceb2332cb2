"""A random sample of archives: short stretches, copied record by record to one small archive."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from benben.pipeline import storage
from benben.pipeline.archive.inputs import Archive, Split
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.storage.ranges import DEFAULT, open_source

WINDOW = 32 << 10  # bytes of a stretch; many short ones represent the whole better than few long


@dataclass(frozen=True)
class Taken:
    """What a sample holds."""

    path: str
    captures: int
    bytes: int  # of the stretches, records other than captures included


def windows(found: Sequence[Archive], share: float, seed: int) -> list[Split]:
    """Choose stretches with `share` of all bytes: one at a random place in each of equal strata.

    They come in random order, so that the first of them are a smaller sample of the same kind.
    """
    total = sum(archive.size for archive in found)
    chance = random.Random(seed)
    number = max(8, round(total * share / WINDOW))
    length = max(1, round(total * share / number))
    starts = [int((stratum + chance.random()) * total / number) for stratum in range(number)]
    chosen: list[Split] = []
    base, archives = 0, iter(found)
    archive = next(archives)
    for start in starts:
        while start >= base + archive.size:
            base += archive.size
            archive = next(archives)
        place = start - base
        chosen.append(Split(archive.url, place, place + length))
    chance.shuffle(chosen)
    return chosen


def take(
    chosen: Sequence[Split],
    path: str,
    access: ArchiveSettings = DEFAULT,
    page_bytes: int = 32 << 20,
) -> Taken:
    """Copy the records that begin in the stretches to one archive. Raises OSError."""
    captures = size = 0
    with storage.new_file(path) as out:
        for window in chosen:
            source = open_source(window.url, access)
            end = min(window.end, source.size)
            for one in read_captures(window.url, window.start, end, page_bytes, access):
                if isinstance(one, Capture):
                    out.write(source.read_at(one.offset, one.length))
                    captures += 1
            size += end - window.start
    return Taken(path, captures, size)
