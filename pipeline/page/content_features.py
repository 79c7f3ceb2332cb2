"""What the content score sees of a page's blocks: a row of named numbers for each.

Counts, markup and neighbourhood only, nothing of a language: commas and sentence ends are those of
many scripts, and words of class attributes are English on pages of any language. Lengths enter as
logarithms. A container's statistics are differences of running sums, since an element's blocks
lie side by side in reading order.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.page import characters
from pipeline.page.content_words import FIRST_BIT, GROUPS
from pipeline.page.dom import AROUND, FIGURE, FIRST_AROUND, HIDDEN, tag_id
from pipeline.page.walk import DEPTH, END, FIRST, FLAGS, PARENT, TAG, WIDTH, Walk

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]

_TAGS = {
    "p": ("p",), "h1": ("h1",), "h2": ("h2",), "h3": ("h3",), "h4": ("h4", "h5", "h6"),
    "li": ("li",), "cell": ("td", "th", "tr", "caption"), "div": ("div",), "dl": ("dd", "dt", "dl"),
    "pre": ("pre",), "quote": ("blockquote",), "figcaption": ("figcaption",), "body": ("body",),
    "section": ("article", "section", "main"), "header": ("header",), "summary": ("summary",),
    "list": ("ul", "ol"),
}  # fmt: skip
_HEADINGS = ("h1", "h2", "h3", "h4")
_LEVELS = 5  # the block's element and the elements around it
_SHIFTS = (-3, -2, -1, 1, 2, 3)
_WINDOWS = np.array([[3], [8], [20]])  # blocks to each side
_LONG = 80  # characters: prose even without a sentence end
_MANY_LINKS = 0.3

_TEXT = ("chars", "words", "commas", "stops", "lines", "word_length", "ends", "colon", "capitals",
         "digits", "capital_first", "image", "link_share", "repeats", "in_title")  # fmt: skip
_LEVEL = ("link_share", "prose", "share", "prose_share", "chars", "blocks", "images", "stops",
          "mean_chars")  # fmt: skip
_NEAR = ("chars", "link_share", "ends", "image", "stops", "commas", "depth", "heading")
_FLAGS = ("figure", "hidden", *AROUND)
_POSITION = ("place", "text_before", "prose_before", "blocks_after", "blocks_before")
_ALIKE = ("alike", "alike_mean_chars", "alike_share")  # blocks of the same kind of markup
_PAGE = ("page_chars", "page_link_share", "page_blocks", "page_prose", "page_images")
FEATURES: tuple[str, ...] = (
    *_TEXT,
    "depth",
    *(f"tag_{tag}" for tag in (*_TAGS, "other")),
    *(f"parent_{tag}" for tag in (*_TAGS, "other")),
    *(f"in_{flag}" for flag in _FLAGS),
    *(f"word_{group}" for group in GROUPS),
    *(f"level{level}_{name}" for name in _LEVEL for level in range(_LEVELS)),
    *_POSITION,
    *(f"{name}{shift:+d}" for shift in _SHIFTS for name in _NEAR),
    *(f"same_parent{shift:+d}" for shift in _SHIFTS),
    *(f"same_element{shift:+d}" for shift in _SHIFTS),
    *(
        f"window{size}_{name}"
        for name in ("chars", "link_share", "prose")
        for size in _WINDOWS[:, 0]
    ),
    *_ALIKE,
    *_PAGE,
)
_FLAG_BITS = np.array(
    [FIGURE.bit_length() - 1, HIDDEN.bit_length() - 1]
    + [FIRST_AROUND + number for number in range(len(AROUND))]
)
_TAG_GROUP = np.full(256, len(_TAGS))
for _number, _tags in enumerate(_TAGS.values()):
    _TAG_GROUP[[tag_id(_tag) for _tag in _tags]] = _number
_NEAR_ROWS = [_TEXT.index(name) for name in _NEAR[:-2]]
_ONE_HOT = np.eye(len(_TAGS) + 1, dtype=np.float32)
_IS_HEADING = np.array([tag in _HEADINGS for tag in (*_TAGS, "other")], np.float32)
_PAD = max(_SHIFTS)


class Blocks(NamedTuple):
    """What the score sees of a page's blocks."""

    rows: Floats  # one a block, one column for each of FEATURES
    kinds: Integers  # number of the block's kind of markup on this page
    lengths: Integers  # characters


def describe(page: Walk, title: str | None) -> Blocks:
    """Features of a page's blocks; the page has at least one."""
    size = len(page.text)
    elements = _column(page.elements).reshape(-1, WIDTH).T
    element, parent, flags = _column(page.element), elements[PARENT], elements[FLAGS]
    tag = _TAG_GROUP[np.minimum(elements[TAG], len(_TAG_GROUP) - 1)]
    around = parent[element]
    chain = [element, around]
    while len(chain) < _LEVELS:
        chain.append(parent[chain[-1]])
    out = np.empty((size, len(FEATURES)), np.float32)
    counts = characters.count_characters(page.text)
    text = _text(page, title, counts)
    near = np.empty((len(_NEAR), size), np.float32)
    near[:-2] = text[_NEAR_ROWS]
    near[-2] = elements[DEPTH, element] / 10
    near[-1] = _IS_HEADING[tag[element]]
    sums = _sums(counts, text)
    own, words = flags[element], flags[element] | flags[around]
    kind = own * 31 + flags[around] * 17 + tag[element] * 7 + elements[DEPTH, element]
    kinds = np.unique(kind, return_inverse=True)[1]  # the sum wraps around: a hash
    parts = (
        text.T,
        near[-2][:, None],
        _ONE_HOT[tag[element]],
        _ONE_HOT[tag[around]],
        _bits(own)[:, _FLAG_BITS],
        _bits(words)[:, FIRST_BIT : FIRST_BIT + len(GROUPS)],
        _levels(elements[FIRST : END + 1], np.stack(chain), sums).T,
        _positions(size, sums).T,
        _shifted(near).T,
        _same(around).T,
        _same(element).T,
        _windows(size, sums).T,
        _alike(kinds, counts[characters.LENGTHS]).T,
        _page(size, sums),
    )
    start = 0
    for part in parts:
        end = start + part.shape[-1]
        out[:, start:end] = part
        start = end
    return Blocks(out, kinds, counts[characters.LENGTHS])


def _bits(flags: Integers) -> npt.NDArray[np.uint8]:
    return np.unpackbits(flags.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")


def _column(values: Any) -> Integers:
    return np.frombuffer(values, np.int64)


def _text(page: Walk, title: str | None, counts: Integers) -> Floats:
    """The features of _TEXT, one row a feature."""
    texts = page.text
    spaces, commas, stops, _, capitals, digits, breaks = counts[1 : characters.CLASS_COUNT]
    chars, first, last = counts[characters.LENGTHS :]
    some = np.maximum(chars, 1)
    words = spaces + breaks + (chars > 0)
    out = np.empty((len(_TEXT), len(texts)), np.float32)
    np.log1p((chars, words, commas, stops, breaks), out=out[:5])
    out[5] = np.minimum(chars / np.maximum(words, 1), 30) / 10
    out[6] = last == characters.STOP
    out[7] = last == characters.COLON
    out[8] = capitals / some
    out[9] = digits / some
    out[10] = first == characters.CAPITAL
    out[11] = 0
    out[11, list(page.images)] = 1
    out[12] = np.minimum(_column(page.links) / some, 1)
    counted = Counter(texts)
    out[13] = np.log1p([counted[text] for text in texts])
    out[14] = [text in title for text in texts] if title else 0
    out[13:, chars == 0] = 0
    return out


def _sums(counts: Integers, text: Floats) -> Floats:
    """Running sums over the blocks: characters, linked ones, prose, texts, images, stops."""
    chars, stops = counts[characters.LENGTHS], counts[characters.STOP]
    links = text[_TEXT.index("link_share")]
    rows = np.zeros((6, len(chars) + 1))
    rows[0, 1:] = chars
    rows[1, 1:] = chars * links
    rows[2, 1:] = chars * ((links < _MANY_LINKS) & ((stops > 0) | (chars > _LONG)))
    rows[3, 1:] = chars > 0
    rows[4, 1:] = text[_TEXT.index("image")]
    rows[5, 1:] = stops
    sums: Floats = rows.cumsum(axis=1)
    return sums


def _levels(ranges: Integers, chain: Integers, sums: Floats) -> Floats:
    first, end = ranges[:, chain]
    inside = sums.take(end, axis=1) - sums.take(first, axis=1)
    chars, links, prose, blocks, _, _ = inside
    some = np.maximum(chars, 1)
    out = np.empty((len(_LEVEL), *chain.shape), np.float32)
    out[0] = links / some
    out[1] = prose / some
    out[2] = chars / max(1, sums[0, -1])
    out[3] = prose / max(1, sums[2, -1])
    np.log1p(inside[[0, 3, 4, 5]], out=out[4:8], casting="same_kind")
    np.log1p(chars / np.maximum(blocks, 1), out=out[8], casting="same_kind")
    return out.reshape(-1, chain.shape[1])


def _positions(size: int, sums: Floats) -> Floats:
    place = np.arange(size)
    out = np.empty((len(_POSITION), size), np.float32)
    out[0] = place / size
    out[1] = sums[0, :-1] / max(1, sums[0, -1])
    out[2] = sums[2, :-1] / max(1, sums[2, -1])
    out[3] = np.log1p(size - place)
    out[4] = np.log1p(place)
    return out


def _shifted(near: Floats) -> Floats:
    rows, size = near.shape
    padded = np.zeros((rows, size + 2 * _PAD), np.float32)
    padded[:, _PAD:-_PAD] = near
    return np.concatenate([padded[:, _PAD + d : _PAD + d + size] for d in _SHIFTS])


def _same(keys: Integers) -> npt.NDArray[np.bool_]:
    padded = np.full(len(keys) + 2 * _PAD, -1)
    padded[_PAD:-_PAD] = keys
    return np.stack([padded[_PAD + d : _PAD + d + len(keys)] == keys for d in _SHIFTS])


def _windows(size: int, sums: Floats) -> Floats:
    place = np.arange(size)
    low = np.maximum(place - _WINDOWS, 0)
    high = np.minimum(place + _WINDOWS + 1, size)
    chars, links, prose = sums[:3].take(high, axis=1) - sums[:3].take(low, axis=1)
    some = np.maximum(chars, 1)
    return np.concatenate([np.log1p(chars / (high - low)), links / some, prose / some])


def _alike(kinds: Integers, chars: Integers) -> Floats:
    """How many blocks have the same tag, words and depth, and how much text lies in them."""
    blocks = np.bincount(kinds)
    total = np.bincount(kinds, chars)
    out = np.empty((len(_ALIKE), len(kinds)), np.float32)
    out[0] = np.log1p(blocks)[kinds]
    out[1] = np.log1p(total / blocks)[kinds]
    out[2] = (total / max(1, chars.sum()))[kinds]
    return out


def _page(size: int, sums: Floats) -> Floats:
    chars, links, prose, _, images, _ = sums[:, -1]
    some = max(1, chars)
    page = [np.log1p(chars), links / some, np.log1p(size), prose / some, np.log1p(images)]
    return np.array(page, np.float32)
