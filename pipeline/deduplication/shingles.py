"""Word shingles of texts as 64-bit hashes, computed with numpy for a batch of texts at a time.

A token is a run of letters, digits and marks; in scripts written without spaces (Han, kana, Thai,
Lao, Khmer, Burmese, Yi) every character is a token. Case, accents, compatibility forms (NFKC:
halfwidth kana, ligatures), the two writings of ss in German and characters without a look of their
own (soft hyphens, joiners) are ignored. A shingle is `size` consecutive tokens.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from benben.common.hashing import GOLDEN_GAMMA, Hashes, mix64, splitmix64

Offsets = npt.NDArray[np.int64]

LAST_LETTER = 0x323B0  # no letter has a higher code point (Unicode 15: end of CJK extension H)
SINGLE = 0x8000_0000  # flag of a character that is a token by itself
ACCENTS = range(0x300, 0x370)
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA000, 0xA48F),  # Yi
    (0xF900, 0xFAFF),
    (0x20000, LAST_LETTER),
)
SIGMA, FINAL_SIGMA = 0x3C3, 0x3C2
UNSEEN = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")  # Unicode's Default_Ignorable, common ones
SHARP_S = re.compile("[ßẞ]")
TOKEN_STEP = np.uint64(
    GOLDEN_GAMMA
)  # odd multipliers, so that order counts in a token and a shingle
SHINGLE_STEP = 0xD6E8_FEB8_6659_FD93
MASK = 0xFFFF_FFFF_FFFF_FFFF


def fold(character: str) -> int:
    """Return the code point in lower case and without accents; 0 if it is no letter or digit."""
    if unicodedata.category(character)[0] not in "LNM":
        return 0
    lowered = character.lower()
    spread = unicodedata.normalize("NFKD", lowered)
    if len(spread) > 1 and all(ord(mark) in ACCENTS for mark in spread[1:]):
        return ord(spread[0])
    composed = unicodedata.normalize("NFKC", lowered)
    code = ord(composed) if len(composed) == 1 else ord(lowered[0])
    return SIGMA if code == FINAL_SIGMA else code


def normalized(text: str) -> str:
    """Return a text with one writing for what reads the same; see the module."""
    if text.isascii():
        return text
    return SHARP_S.sub("ss", unicodedata.normalize("NFKC", UNSEEN.sub("", text)))


@lru_cache(maxsize=1)
def _letters() -> npt.NDArray[np.uint32]:
    table = np.zeros(LAST_LETTER + 1, np.uint32)
    for code in range(LAST_LETTER):
        table[code] = fold(chr(code))
    for low, high in UNSPACED:
        part = table[low : high + 1]
        part[part > 0] |= SINGLE
    return table


@lru_cache(maxsize=1)
def _powers() -> Hashes:
    """Weights of a token's characters by position; they start over after 1,024 characters."""
    return np.multiply.accumulate(np.full(1024, TOKEN_STEP, np.uint64))


def token_hashes(texts: Sequence[str]) -> tuple[Hashes, Offsets]:
    """Hash each token; those of text i are `hashes[offsets[i]:offsets[i + 1]]`."""
    plain = [normalized(text) for text in texts]
    codes = np.frombuffer("\n".join(plain).encode("utf-32-le", "surrogatepass"), np.uint32)
    ends = np.cumsum([len(text) + 1 for text in plain], dtype=np.int64)
    letters = _letters()[np.minimum(codes, LAST_LETTER)]
    places = np.flatnonzero(letters)
    if not len(places):
        return np.zeros(0, np.uint64), np.zeros(len(texts) + 1, np.int64)
    letters = letters[places]
    begins = np.ones(len(places), np.bool_)
    begins[1:] = np.diff(places) != 1
    alone = letters >= SINGLE
    if alone.any():
        begins |= alone
        begins[1:] |= alone[:-1]
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=len(places))
    inside = np.arange(len(places)) - np.repeat(starts, lengths)
    weighted = letters * _powers()[inside & 1023]
    offsets = np.searchsorted(places[starts], np.concatenate(([0], ends)))
    return mix64(np.add.reduceat(weighted, starts)), offsets.astype(np.int64)


def shingle_hashes(tokens: Hashes, offsets: Offsets, size: int) -> tuple[Hashes, Offsets]:
    """Hash each run of `size` tokens; those of text i are `hashes[offsets[i]:offsets[i + 1]]`.

    A text with fewer tokens has one shingle of all its tokens; a text without tokens has none.
    Hashes of equal shingles are equal in every run. Repeated shingles are not removed.
    """
    counts = np.diff(offsets)
    missing = np.where((counts > 0) & (counts < size), size - counts, 0)
    if missing.any():  # pad short texts with a token that no text has
        tokens = np.insert(tokens, np.repeat(offsets[1:], missing), np.uint64(0))
        counts = counts + missing
    places = np.flatnonzero(_starts_inside(counts, size))
    shingles = np.zeros(len(places), np.uint64)
    weight = 1
    for step in range(size):
        shingles += tokens[places + step] * np.uint64(weight)
        weight = weight * SHINGLE_STEP & MASK
    sizes = np.where(counts > 0, counts - size + 1, 0)
    return mix64(shingles), np.concatenate(([0], np.cumsum(sizes)))


def sequence_hashes(tokens: Hashes, offsets: Offsets) -> Hashes:
    """Hash each text's token sequence: equal for texts that are equal once normalized."""
    counts = np.diff(offsets)
    weights = np.arange(len(tokens), dtype=np.uint64)
    weights -= np.repeat(offsets[:-1], counts).astype(np.uint64)
    sums = np.zeros(len(tokens) + 1, np.uint64)
    np.cumsum(tokens * splitmix64(weights), out=sums[1:])
    return mix64(sums[offsets[1:]] - sums[offsets[:-1]] + counts.astype(np.uint64))


def _starts_inside(counts: Offsets, size: int) -> npt.NDArray[np.bool_]:
    """Mask of the tokens where a shingle can start without reaching past the end of its text."""
    inside = np.ones(counts.sum(), np.bool_)
    ends = np.cumsum(counts)[counts > 0]
    for back in range(1, size):
        inside[ends - back] = False
    return inside
