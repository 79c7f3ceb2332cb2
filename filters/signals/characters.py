"""Classes of characters: one table look-up per character tells all that signals ask of it."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from benben.pipeline.characters import table_of

SPACE = 1 << 0
SPECIAL = 1 << 1  # white space, digits, punctuation, symbols, emoji (OBELICS's special characters)
PUNCTUATION = 1 << 2
WORD = 1 << 3  # \w, combining marks and apostrophes: what punctuation is counted against
CONTINUOUS = 1 << 4  # scripts written without spaces between words
MARK = 1 << 5  # combining: belongs to the character before it
UPPER = 1 << 6
ALPHA = 1 << 7
DIGIT = 1 << 8
NEWLINE = 1 << 9
TERMINAL = 1 << 10  # ends a sentence

TABLE_SIZE = 0x20000  # beyond it lie ideographs, and rarely anything else
# Han, Hiragana, Katakana, Thai, Lao, Myanmar, Khmer (Unicode 15, blocks)
_CONTINUOUS_RANGES = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3031, 0x3035),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF),
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
)
_SPACE_LIKE = "\ufffc\u0084\u200b\ufeff\u0f0b"  # blank in print; the last parts Tibetan syllables

_JOINERS = "\u200c\u200d"  # shape letters inside Persian and Indic words


class Characters(NamedTuple):
    """Look-up tables by code point, cut at `TABLE_SIZE`."""

    classes: NDArray[np.uint16]
    lower: NDArray[np.uint32]
    mixed: NDArray[np.uint64]  # of the lower-case form: what hashes add up


@lru_cache(maxsize=4)
def tables(punctuation: str, terminal: str) -> Characters:
    """Build the tables, once a process and setting (about 0.2 s)."""
    classes = _class_table()
    lower = np.arange(TABLE_SIZE, dtype=np.uint32)
    for code in range(TABLE_SIZE):
        small = chr(code).lower()
        if len(small) == 1 and ord(small) < TABLE_SIZE:
            lower[code] = ord(small)
    lower[ord("’")] = ord("'")  # lists spell don't with either
    for first, last in _CONTINUOUS_RANGES:
        block = classes[first : last + 1]
        block[(block & SPECIAL) == 0] |= CONTINUOUS
    for characters, flag in ((punctuation, PUNCTUATION), (terminal, TERMINAL)):
        for character in characters:
            classes[ord(character)] |= flag
    classes[TABLE_SIZE - 1] = WORD | ALPHA | CONTINUOUS  # all beyond: supplementary ideographs
    return Characters(classes, lower, mix(lower.astype(np.uint64)))


def _class_table() -> NDArray[np.uint16]:
    """Flags by Unicode properties, before scripts and the lists of the settings."""
    classes = np.zeros(TABLE_SIZE, np.uint16)
    for has_property, flags in (
        (lambda character: character.isspace() or character in _SPACE_LIKE, SPACE | SPECIAL),
        (lambda character: _is_special(category(character)) or character.isdecimal(), SPECIAL),
        (str.isalnum, WORD),
        (lambda character: category(character)[0] == "M", WORD | MARK),
        (str.isupper, UPPER),
        (str.isalpha, ALPHA),
        (str.isdecimal, DIGIT),
    ):
        classes[table_of(has_property, TABLE_SIZE)] |= flags
    classes[[ord(character) for character in "_'’"]] |= WORD
    classes[ord("\n")] |= NEWLINE
    classes[[ord(character) for character in _JOINERS]] = WORD | MARK
    return classes


def _is_special(kind: str) -> bool:
    """Punctuation, symbols, separators and control characters; not what has no meaning given."""
    return kind[0] in "PSZC" and kind not in ("Co", "Cs")


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread values over 64 bits (splitmix64's finaliser, Steele et al. 2014)."""
    values = (values + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
