"""Nodes that share the fate of others: headings of what they head, captions of their image."""

from __future__ import annotations

import numpy as np

from benben.filters.declaration import Integers, Mask, Nested
from benben.filters.verdicts import Ledger
from benben.pipeline.compiled import borrowed, compiled, int64

_LEVELS = 7  # of headings, from 1
_NONE = -1
_OWN, _KEEP, _DROP = range(3)


def follow_images(ledger: Ledger, settled: Mask, least: float) -> None:
    """Keep or drop each caption with the images of its figure.

    `settled`: paragraphs left as they are; `least`: content score from which a caption is kept.
    """
    paragraphs, images = ledger.paragraphs, ledger.images
    captions = np.flatnonzero((_figures(paragraphs.nodes) > 0) & ~settled)
    shown = _figures(images.nodes)
    framed = np.flatnonzero(shown > 0)
    if not len(captions) or not len(framed):
        return
    key = (images.nodes.document[framed] << 32) + shown[framed]
    # kept images first, so that the first of a figure tells whether any is kept
    order = np.lexsort((framed, ~images.kept[framed], key))
    framed, key = framed[order], key[order]
    wanted = (paragraphs.nodes.document[captions] << 32) + _figures(paragraphs.nodes)[captions]
    place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    found = key[place] == wanted
    captions, source = captions[found], framed[place[found]]
    index = images.nodes.integers("index")[source]
    kept = images.kept[source]
    wanted = kept & _reaches(paragraphs.nodes, least)[captions]
    paragraphs.spare(captions[wanted], index[wanted])
    paragraphs.drop_with(captions[~kept], images, source[~kept], index[~kept])


def follow_sections(ledger: Ledger, settled: Mask, least: float) -> None:
    """Keep each heading of which something is kept, drop each of which all that there is goes.

    A heading heads what follows up to the next one of its level or above, and the end of the
    article. One that heads nothing is judged by its own rules. Parameters as of `follow_images`.
    """
    paragraphs, images = ledger.paragraphs, ledger.images
    nodes = paragraphs.nodes
    level = nodes.integers("level")
    fate, source = np.zeros(len(nodes), np.int64), np.zeros(len(nodes), np.int64)
    _follow(
        *(nodes.document, nodes.integers("index"), nodes.integers("section"), level),
        *(paragraphs.kept, images.nodes.document, images.nodes.integers("index"), images.kept),
        *(fate, source),
    )
    keep = np.flatnonzero((fate == _KEEP) & ~settled & _reaches(nodes, least))
    paragraphs.spare(keep, source[keep])
    drop = np.flatnonzero((fate == _DROP) & ~settled)
    first = source[drop]
    paragraphs.drop_with(drop, paragraphs, first, nodes.integers("index")[first])


def _figures(nodes: Nested) -> Integers:
    return np.asarray(np.nan_to_num(nodes("figure")), np.int64)


def _reaches(nodes: Nested, least: float) -> Mask:
    """Tell which paragraphs have a content score of at least `least`, or none."""
    return ~(np.asarray(nodes("content_score")) < least)


@compiled
def _follow(
    document: Integers, index: Integers, section: Integers, level: Integers, kept: Mask,
    image_document: Integers, image_index: Integers, image_kept: Mask,
    fate: Integers, source: Integers,
) -> None:  # fmt: skip
    """Write each heading's fate, and its source: node index of what is kept, or the row dropped.

    Backwards: for each level, the nearest node kept, and the nearest paragraph, since the last
    heading that ends what a heading of that level heads.
    """
    document, index, section = borrowed(document), borrowed(index), borrowed(section)
    level, fate, source = borrowed(level), borrowed(fate), borrowed(source)
    alive, below = np.full(_LEVELS, _NONE), np.full(_LEVELS, _NONE)
    image = len(image_document) - 1
    for row in range(len(document) - 1, -1, -1):
        last = row + 1 == len(document)
        changes = last or document[row] != document[row + 1]
        if changes or (section[row] != section[row + 1] and level[row + 1] == 0):  # article ends
            alive[:] = below[:] = _NONE
        while image >= 0 and (image_document[image] > document[row] or (
            image_document[image] == document[row] and image_index[image] > index[row]
        )):  # fmt: skip
            if image_kept[image] and image_document[image] == document[row]:
                alive[:] = image_index[image]
            image -= 1
        here = level[row]
        if here == 0:
            below[:] = row
            if kept[row]:
                alive[:] = index[row]
        elif not changes and level[row + 1] == here and section[row + 1] == section[row]:
            fate[row], source[row] = fate[row + 1], source[row + 1]  # the same heading goes on
        else:
            _judge_heading(row, here, index[row], kept[row], alive, below, fate, source)


@compiled
def _judge_heading(
    row: int, level: int, index: int, kept: bool,
    alive: Integers, below: Integers, fate: Integers, source: Integers,
) -> None:  # fmt: skip
    """Write a heading's fate; then nothing that follows belongs to headings of its level before."""
    dropped = int64(row)
    if alive[level] != _NONE:
        fate[row], source[row] = _KEEP, alive[level]
    elif below[level] != _NONE:
        fate[row], source[row] = _DROP, below[level]
        dropped = below[level]
    stays = fate[row] == _KEEP or (fate[row] == _OWN and kept)
    for other in range(len(alive)):
        if other >= level:
            alive[other] = below[other] = _NONE
        else:
            below[other] = dropped
            if stays:
                alive[other] = index
