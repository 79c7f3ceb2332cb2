"""Counts of characters by what they mean in every script, for all texts of a page at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

# Classes of characters that mean the same in every script; 0 is any other.
SPACE, COMMA, STOP, COLON, CAPITAL, DIGIT, BREAK = range(1, 8)
CLASS_COUNT = 8
LENGTHS, FIRST, LAST = -3, -2, -1  # rows below those of the classes


def _character_classes() -> npt.NDArray[np.uint8]:
    """Class of each character of the Basic Multilingual Plane."""
    classes = np.zeros(0x10000, np.uint8)
    for code in range(0x10000):
        character = chr(code)
        if character.isupper():
            classes[code] = CAPITAL
        elif character.isdigit():
            classes[code] = DIGIT
    for marks, number in (
        (" \u00a0\u3000", SPACE),
        (",;،、，；؛", COMMA),
        (".!?…。！？।؟။።", STOP),
        (":：", COLON),
        ("\n", BREAK),
    ):
        classes[[ord(mark) for mark in marks]] = number
    return classes


_CLASSES = _character_classes()


def count_characters(texts: Sequence[str]) -> Integers:
    """Characters of each class in each text, a column a text.

    Below the rows of the classes lie those of LENGTHS, FIRST (class of the first character) and
    LAST.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    classes = _CLASSES.take(_codes("".join(texts)))
    cells = np.repeat(np.arange(len(texts)) * CLASS_COUNT, lengths)
    cells += classes
    counts = np.zeros((CLASS_COUNT + 3, len(texts)), np.int64)
    table = np.bincount(cells, minlength=len(texts) * CLASS_COUNT)
    counts[:CLASS_COUNT] = table.reshape(-1, CLASS_COUNT).T
    some = lengths > 0
    ends = np.cumsum(lengths)[some]
    counts[LENGTHS] = lengths
    counts[FIRST, some] = classes[ends - lengths[some]]
    counts[LAST, some] = classes[ends - 1]
    return counts


def _codes(text: str) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Code points, all beyond the Basic Multilingual Plane as its last; the narrowest first."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    narrow = text.encode("utf-16-le", "surrogatepass")
    if len(narrow) == 2 * len(text):
        return np.frombuffer(narrow, np.uint16)
    wide = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.minimum(wide, len(_CLASSES) - 1)
