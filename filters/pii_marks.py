"""Which paragraphs may hold personal data or secrets: one pass over their characters; compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benben.filters.characters import DIGIT
from benben.filters.scan import Classes, Codes, Integers
from benben.pipeline.compiled import borrowed, compiled

EMAILS, IPS, PHONES, CREDENTIALS = 1, 2, 4, 8
# Fewest digits of a telephone number with and without a plus sign, most characters between two.
_WITH_PLUS, _WITHOUT_PLUS, _BETWEEN = 8, 10, 2
_AT, _COLON, _DOT, _PLUS = ord("@"), ord(":"), ord("."), ord("+")
_ZERO, _NINE, _A, _F, _LOWER = ord("0"), ord("9"), ord("a"), ord("f"), 0x20
_SPACE, _DASH, _OPEN, _CLOSE = ord(" "), ord("-"), ord("("), ord(")")


def marks_table(marks: tuple[str, ...]) -> Codes:
    """Marks as code points, a row each, padded with zeros."""
    table = np.zeros((len(marks), max(map(len, marks)) + 1), np.uint32)
    for row, mark in enumerate(marks):
        table[row, : len(mark)] = [ord(character) for character in mark]
    return table


def first_letters(table: Codes) -> NDArray[np.bool_]:
    """For each ASCII character: a mark begins with it."""
    found = np.zeros(128, np.bool_)
    found[table[:, 0]] = True
    return found


@compiled
def begins_mark(codes: Codes, place: int, end: int, marks: Codes) -> bool:
    """Tell whether one of the marks begins here."""
    for row in range(len(marks)):
        size = 0
        while marks[row, size] and place + size < end and codes[place + size] == marks[row, size]:
            size += 1
        if not marks[row, size]:
            return True
    return False


@compiled
def is_hexadecimal(code: int) -> bool:
    """An ASCII digit or a letter up to F."""
    return _ZERO <= code <= _NINE or _A <= (code | _LOWER) <= _F


@compiled
def is_separator(code: int) -> bool:
    """What may stand between digits of a telephone number."""
    return code in (_SPACE, _DOT, _DASH, _OPEN, _CLOSE)


@compiled
def scan(
    codes: Codes, classes: Classes, first: Integers, last: Integers, marks: Codes,
    letters: NDArray[np.bool_], found: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Write bits of what each paragraph may hold: no match of the patterns is left out."""
    codes, classes, found = borrowed(codes), borrowed(classes), borrowed(found)
    marks, letters = borrowed(marks), borrowed(letters)
    for row in range(len(first)):
        flags, colons, dots, before = 0, 0, 0, False  # before: a digit comes right before
        end = last[row]
        digits, gap, fewest = 0, 0, _WITHOUT_PLUS
        for place in range(first[row], end):
            code, digit = codes[place], classes[place] & DIGIT != 0
            if code < len(letters) and letters[code] and begins_mark(codes, place, end, marks):
                flags |= CREDENTIALS
            if code == _AT:
                flags |= EMAILS
            if code == _COLON:
                colons += 1
            elif not is_hexadecimal(code):
                colons = 0
            if code == _DOT and before:
                dots += 1
            elif not digit:
                dots = 0
            if colons >= 2 or dots >= 3:
                flags |= IPS
            if digit:
                digits, gap = digits + 1, 0
                if digits >= fewest:
                    flags |= PHONES
            else:
                gap += 1
                if code == _PLUS:
                    digits, gap, fewest = 0, 0, _WITH_PLUS
                elif gap > _BETWEEN or not is_separator(code):
                    digits, fewest = 0, _WITHOUT_PLUS
            before = digit
        found[row] = flags
