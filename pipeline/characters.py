"""Properties of characters as tables by code point, and the classes that extraction counts.

The signals' classes (filters/signals/characters.py) are built from the same properties.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

BASIC_PLANE = 0x10000  # code points of the Basic Multilingual Plane

# Classes that mean the same in every script; a character has exactly one, 0 is any other.
SPACE, COMMA, STOP, COLON, CAPITAL, DIGIT, BREAK = range(1, 8)
CLASS_COUNT = 8
CLASS = 0x07  # bits of the class; the others say how a character is rendered:
MARK = 0x08  # quotation marks and dashes, which are wide beside wide characters
JOINER = 0x10  # ZWNJ and ZWJ: scripts that need them keep them
WIDE = 0x20  # a line break between two of these is not rendered (CSS Text 3, 4.1.3)
UNSEEN = 0x40  # never rendered but where a line breaks
WHITE = 0x80  # white space, where str.split() splits

_UNSEEN = "\u00ad\u200b\u2060\u2061\u2062\u2063\u2064\ufeff" + "".join(
    chr(code) for code in (*range(0x20), 0x7F) if not chr(code).isspace()
)  # control characters among them
_JOINERS = "\u200c\u200d"
_MARKS = "‘’“”—…·"
_HANGUL = (  # wide, but with blanks between words
    (0x1100, 0x11FF), (0x3130, 0x318F), (0x3200, 0x321E), (0x3260, 0x327F), (0xA960, 0xA97F),
    (0xAC00, 0xD7FF), (0xFFA0, 0xFFDC),
)  # fmt: skip


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
    wide = table_of(_is_wide, BASIC_PLANE)
    for first, last in _HANGUL:
        wide[first : last + 1] = False
    wide[-1] = True  # stands for what lies beyond the plane: rare ideographs, emoji
    classes[wide] |= WIDE
    for marks, bits in ((_UNSEEN, UNSEEN), (_JOINERS, UNSEEN | JOINER), (_MARKS, MARK)):
        classes[[ord(mark) for mark in marks]] |= bits
    return classes


def _is_wide(character: str) -> bool:
    """Tell whether a character is wide or half a wide one (UAX 11)."""
    return unicodedata.east_asian_width(character) in "FWH"


CLASSES = _class_table()
