"""Properties of characters as tables by code point, and the classes that extraction counts.

The signals' classes (filters/signals/characters.py) are built from the same properties.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

BASIC_PLANE = 0x10000  # code points of the Basic Multilingual Plane

# Classes that mean the same in every script; a character has exactly one, 0 is any other.
SPACE, COMMA, STOP, COLON, CAPITAL, DIGIT, BREAK = range(1, 8)
CLASS_COUNT = 8
WHITE = 0x80  # added to the class of white space, where str.split() splits


def table_of(has_property: Callable[[str], bool], size: int) -> npt.NDArray[np.bool_]:
    """Tell for each code point below `size` whether its character has a property."""
    return np.fromiter(map(has_property, map(chr, range(size))), np.bool_, size)


def _class_table() -> npt.NDArray[np.uint8]:
    """Class of each character of the Basic Multilingual Plane; the last stands for all others."""
    classes = np.zeros(BASIC_PLANE, np.uint8)
    classes[table_of(str.isdigit, BASIC_PLANE)] = DIGIT
    classes[table_of(str.isupper, BASIC_PLANE)] = CAPITAL
    for marks, number in (
        (" \u00a0\u3000", SPACE),
        (",;،、，；؛", COMMA),
        (".!?…。！？।؟။።", STOP),
        (":：", COLON),
        ("\n", BREAK),
    ):
        classes[[ord(mark) for mark in marks]] = number
    classes[table_of(str.isspace, BASIC_PLANE)] |= WHITE
    return classes


CLASSES = _class_table()
