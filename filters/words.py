"""Words: what counts as one, in scripts with and without spaces.

White space separates words, special characters at their ends do not count (OBELICS). Scripts
without spaces have no cheap word boundary, so each of their characters (with its combining marks)
is one word, as Unicode's default segmentation has it for Han (UAX 29).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from filters.characters import CONTINUOUS, MARK, SPACE, SPECIAL
from filters.paragraphs import Integers, Paragraphs


@dataclass(slots=True)
class Words:
    """Words of a batch, in reading order."""

    starts: Integers  # positions in the batch's text
    ends: Integers
    paragraph: Integers
    hashes: NDArray[np.uint64]  # of the lower-case form
    counts: Integers  # words of each paragraph

    def per_paragraph(self, mask: NDArray[np.bool_]) -> Integers:
        """Number of words under a mask, for each paragraph."""
        return np.bincount(self.paragraph[mask], minlength=len(self.counts))


def find(text: Paragraphs) -> Words:
    """Find the words of each paragraph."""
    classes = text.classes
    solid = np.flatnonzero((classes & SPECIAL) == 0)
    if len(solid) == 0:
        none = np.zeros(0, np.int64)
        return Words(none, none, none, none.astype(np.uint64), np.zeros(len(text), np.int64))
    chunk = np.cumsum((classes & SPACE) != 0, dtype=np.int32)[solid]
    kinds = classes[solid]
    continuous = (kinds & CONTINUOUS) != 0
    begins = np.ones(len(solid), np.bool_)
    begins[1:] = chunk[1:] != chunk[:-1]
    begins[1:] |= continuous[1:] | continuous[:-1]
    begins[1:] &= ((kinds[1:] & MARK) == 0) | (chunk[1:] != chunk[:-1])
    first = np.flatnonzero(begins)
    starts = solid[first]
    ends = solid[np.append(first[1:], len(solid)) - 1] + 1
    paragraph = np.searchsorted(text.starts, starts, "right") - 1
    counts = np.bincount(paragraph, minlength=len(text))
    return Words(starts, ends, paragraph, text.window_hashes(starts, ends), counts)
