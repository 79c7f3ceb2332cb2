"""Words: what counts as one, in scripts with and without spaces.

White space separates words, special characters at their ends do not count (OBELICS). Scripts
without spaces have no cheap word boundary, so each of their characters (with its combining marks)
is one word, as Unicode's default segmentation has it for Han (UAX 29).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benben.filters import scan
from benben.filters.paragraphs import Integers, Paragraphs


@dataclass(slots=True)
class Words:
    """Words of a batch, in reading order."""

    starts: Integers  # positions in the batch's text
    ends: Integers
    paragraph: Integers
    hashes: NDArray[np.uint64]  # of the lower-case form
    counts: Integers  # words of each paragraph


def find(text: Paragraphs) -> Words:
    """Find the words of each paragraph."""
    most = len(text.classes)
    starts, ends, paragraph = (np.empty(most, np.int64) for _ in range(3))
    counts = np.empty(len(text), np.int64)
    number = scan.find_words(text.classes, text.starts, text.ends, starts, ends, paragraph, counts)
    starts, ends = starts[:number], ends[:number]
    return Words(starts, ends, paragraph[:number], text.window_hashes(starts, ends), counts)
