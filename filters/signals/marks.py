"""Fixed texts that a compiled pass over characters looks for.

Each is looked for where its rarest character stands, so that few places are compared.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benben.filters.signals.text import Codes, Integers
from benben.pipeline.compiled import borrowed, compiled

# Letters by falling frequency in English text (Norvig 2013); other characters are rarer.
_BY_FREQUENCY = " etaoinsrhldcumfpgwybvkxjqz"
ASCII = 128


class Marks(NamedTuple):
    """Texts to look for; all characters are ASCII."""

    codes: Codes  # (texts, longest + 1), padded with zeros
    anchors: Integers  # place of each text's rarest character
    letters: NDArray[np.bool_]  # (128,): those characters


def make_marks(texts: tuple[str, ...]) -> Marks:
    """Prepare texts for `stands_at`."""
    codes = np.zeros((len(texts), max(map(len, texts)) + 1), np.uint32)
    anchors, letters = np.zeros(len(texts), np.int64), np.zeros(ASCII, np.bool_)
    for row, text in enumerate(texts):
        codes[row, : len(text)] = [ord(character) for character in text]
        anchors[row] = max(range(len(text)), key=lambda place: _rarity(text[place]))
        letters[ord(text[anchors[row]])] = True
    return Marks(codes, anchors, letters)


def _rarity(character: str) -> int:
    place = _BY_FREQUENCY.find(character)
    return len(_BY_FREQUENCY) if place < 0 else place


@compiled
def borrowed_marks(marks: Marks) -> Marks:
    """Texts without reference counts, for the inside of compiled code: see `borrowed`."""
    return Marks(borrowed(marks.codes), borrowed(marks.anchors), borrowed(marks.letters))


@compiled
def stands_at(codes: Codes, place: int, first: int, last: int, marks: Marks) -> bool:
    """Tell whether one of the texts has its rarest character here, between `first` and `last`."""
    for row in range(len(marks.anchors)):
        start, size = place - marks.anchors[row], 0
        if start < first or marks.codes[row, marks.anchors[row]] != codes[place]:
            continue
        while (
            marks.codes[row, size]
            and start + size < last
            and codes[start + size] == marks.codes[row, size]
        ):
            size += 1
        if not marks.codes[row, size]:
            return True
    return False
