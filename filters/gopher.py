"""Repetition and presence signals of Gopher (Rae et al. 2021, table A1) and C4, over a whole page.

They see the page's text before nodes are dropped, as those filters do. n-grams stay inside a
paragraph. An n-gram can only be repeated where the shorter one at the same place is, so each size
looks at what the size before left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benben.filters import gopher_grams
from benben.filters.paragraphs import Paragraphs
from benben.filters.words import Words

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)


def signals(text: Paragraphs, words: Words) -> dict[str, NDArray[np.float64]]:
    """Share of the words' characters in the most frequent, or in all repeated, n-grams."""
    document = text.document[words.paragraph]
    chars = words.ends - words.starts
    first_word = np.searchsorted(document, np.arange(text.documents + 1))
    room = gopher_grams.room(int(np.diff(first_word).max(initial=0)))
    tops = np.zeros((len(TOP_SIZES), text.documents), np.int64)
    duplicates = np.zeros((len(DUPLICATE_SIZES), text.documents), np.int64)
    sizes = (TOP_SIZES[0], DUPLICATE_SIZES[0], DUPLICATE_SIZES[-1])
    gopher_grams.measure(
        words.hashes, chars, words.paragraph, first_word, room, tops, duplicates, sizes
    )
    total = np.maximum(np.bincount(document, chars, text.documents), 1)
    return {
        **{f"top_{size}gram_ratio": tops[row] / total for row, size in enumerate(TOP_SIZES)},
        **{
            f"duplicate_{size}gram_ratio": duplicates[row] / total
            for row, size in enumerate(DUPLICATE_SIZES)
        },
    }
