"""Texts that a page holds twice: those of <noscript> and of copies for the eye (aria-hidden).

Crawlers run no scripts, so what stands in <noscript> is what they see; but a page that needs none
has the same text outside. Such a text counts where the page's other texts do not already say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from benben.pipeline.compiled import Bytes, Integers, compiled, int64
from benben.pipeline.hash_tables import Table, empty_table, find_slot, look_up
from benben.pipeline.page.dom.columns import (
    A_TEXT,
    ELEMENT,
    END,
    FIRST,
    FLAGS,
    HASH,
    IMAGE_BLOCK,
    KIND,
    START,
    STOP,
    TAG,
)
from benben.pipeline.page.dom.elements import COPY, NOSCRIPT, tag_id
from benben.pipeline.page.dom.lexbor import quick_hash
from benben.pipeline.page.dom.walk import Walk

Mask = npt.NDArray[np.bool_]

_NOSCRIPT = tag_id("noscript")
_RUN = 3  # words that a copy has in common with its original, wherever they stand
_COMMON = 0.8  # share of such runs above which a text is a copy


def without_copies(page: Walk, notice_bytes: int, notice_words: Sequence[str]) -> Walk:
    """Return a page without doubtful texts that it says elsewhere, and without notices.

    A notice is a <noscript> of less than `notice_bytes` bytes with one of some words in it, such as
    "Please turn on JavaScript".
    """
    flags = page.elements[page.blocks[:, ELEMENT], FLAGS]
    doubtful = (flags & (NOSCRIPT | COPY) != 0) & (page.blocks[:, KIND] == A_TEXT)
    if not doubtful.any():
        return page
    gone = _notices(page, notice_bytes, notice_words) & doubtful
    if (doubtful & ~gone).any():
        text = np.frombuffer(page.text, np.uint8)
        words = int(np.count_nonzero(text <= 32)) + 2 * len(page.blocks)
        known = empty_table(words)
        mark_copies(page.blocks, text, doubtful, gone, known)
    return without(page, gone) if gone.any() else page


def _notices(page: Walk, most: int, words: Sequence[str]) -> Mask:
    """Tell which blocks lie in a <noscript> that only asks for scripts."""
    found = np.zeros(len(page.blocks), np.bool_)
    for element in np.flatnonzero(page.elements[:, TAG] == _NOSCRIPT).tolist():
        first, end = page.elements[element, FIRST : END + 1].tolist()
        if end > first:
            start, stop = page.blocks[first, START], page.blocks[end - 1, STOP]
            if stop - start < most:
                said = page.text[start:stop].decode("utf-8", "replace").lower()
                found[first:end] = any(word in said for word in words)
    return found


@compiled
def mark_copies(blocks: Integers, text: Bytes, doubtful: Mask, gone: Mask, known: Table) -> None:
    """Mark as gone the doubtful blocks whose text stands in others; `known` has room for all."""
    for doubt in (False, True):
        for place in range(len(blocks)):
            block = blocks[place]
            if block[KIND] != A_TEXT or doubtful[place] != doubt or gone[place]:
                continue
            if doubt:
                gone[place] = _is_known(text, block, known)
            if not gone[place]:
                _remember(text, block, known)


@compiled
def _is_known(text: Bytes, block: Integers, known: Table) -> bool:
    """Tell whether a text as a whole, or most runs of its words, stand elsewhere."""
    if look_up(known, block[HASH]):
        return True
    common, runs = _count_runs(text, block, known, False)
    return runs > 0 and common >= _COMMON * runs


@compiled
def _remember(text: Bytes, block: Integers, known: Table) -> None:
    _set(known, block[HASH])
    _count_runs(text, block, known, True)


@compiled
def _set(known: Table, key: int) -> None:
    slot = find_slot(known, key)
    known.keys[slot] = key
    known.values[slot] = 1


@compiled
def _count_runs(text: Bytes, block: Integers, known: Table, remember: bool) -> tuple[int, int]:
    """Count the runs of words of a text that are known, and all; or remember them."""
    place, stop = int64(block[START]), block[STOP]
    last = before = common = runs = words = int64(0)
    base = text.ctypes.data
    while place < stop:
        start = place
        while place < stop and text[place] > 32:
            place += 1
        word = quick_hash(base + start, place - start)
        place += 1
        words += 1
        if words >= _RUN:
            key = (before * 31 + last) * 31 + word | 1
            runs += 1
            if remember:
                _set(known, key)
            else:
                common += look_up(known, key)
        before, last = last, word
    return common, runs


def without(page: Walk, gone: Mask) -> Walk:
    """Return a page without some blocks, none of which are images."""
    numbers = np.concatenate([[0], np.cumsum(~gone)])
    elements, images = page.elements.copy(), page.images.copy()
    for column in (FIRST, END):
        elements[:, column] = numbers[elements[:, column]]
    images[:, IMAGE_BLOCK] = numbers[images[:, IMAGE_BLOCK]]
    return replace(page, elements=elements, images=images, blocks=page.blocks[~gone])
