"""What characters mean in every script: white space, commas, sentence ends, capitals, digits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Classes of characters that mean the same in every script; 0 is any other.
SPACE, COMMA, STOP, COLON, CAPITAL, DIGIT, BREAK = range(1, 8)
CLASS_COUNT = 8
WHITE = 0x80  # added to the class of white space, which str.split() splits at


def _character_classes() -> npt.NDArray[np.uint8]:
    """Class of each character of the Basic Multilingual Plane; the last is all beyond it."""
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
    for code in range(0x10000):
        if chr(code).isspace():
            classes[code] |= WHITE
    return classes


CLASSES = _character_classes()
