"""What the content score sees of a page's blocks: a row of named numbers for each.

Counts, markup and neighbourhood only, nothing of a language: commas and sentence ends are those of
many scripts, and words of class attributes are English on pages of any language. Lengths enter as
logarithms. A container's statistics are differences of running sums, since an element's blocks
lie side by side in reading order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benben.pipeline.page.block_features import (
    LEVEL,
    LEVELS,
    TEXT,
    Layout,
    describe_blocks,
)
from benben.pipeline.page.content_words import FIRST_BIT, GROUPS
from benben.pipeline.page.dom import AROUND, FIGURE, FIRST_AROUND, HIDDEN, TAGS, tag_id
from benben.pipeline.page.neighbour_features import (
    ALIKE,
    NEAR,
    PAGE,
    POSITION,
    SHIFTS,
    WINDOWS,
)
from benben.pipeline.page.walked import Walk

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
FEATURES: tuple[str, ...] = (
    *TEXT,
    "depth",
    *(f"tag_{tag}" for tag in (*_TAGS, "other")),
    *(f"parent_{tag}" for tag in (*_TAGS, "other")),
    *(f"in_{flag}" for flag in ("figure", "hidden", *AROUND)),
    *(f"word_{group}" for group in GROUPS),
    *(f"level{level}_{name}" for name in LEVEL for level in range(LEVELS)),
    *POSITION,
    *(f"{name}{shift:+d}" for shift in SHIFTS for name in NEAR),
    *(f"same_parent{shift:+d}" for shift in SHIFTS),
    *(f"same_element{shift:+d}" for shift in SHIFTS),
    *(f"window{size}_{name}" for name in ("chars", "link_share", "prose") for size in WINDOWS),
    *ALIKE,
    *PAGE,
)


def _tag_groups() -> npt.NDArray[np.int64]:
    groups = np.full(TAGS, len(_TAGS))
    for number, tags in enumerate(_TAGS.values()):
        groups[[tag_id(tag) for tag in tags]] = number
    return groups


_LAYOUT = Layout(
    width=len(FEATURES),
    tag_groups=_tag_groups(),
    tag_count=len(_TAGS) + 1,
    heading=np.isin(_tag_groups(), [list(_TAGS).index(tag) for tag in _HEADINGS]),
    flag_bits=np.array(
        [FIGURE.bit_length() - 1, HIDDEN.bit_length() - 1]
        + [FIRST_AROUND + number for number in range(len(AROUND))]
    ),
    first_word=FIRST_BIT,
    word_count=len(GROUPS),
)


class Blocks(NamedTuple):
    """What the score sees of a page's blocks."""

    rows: Floats  # one a block, one column for each of FEATURES
    kinds: Integers  # number of the block's kind of markup on this page
    lengths: Integers  # characters


def describe(page: Walk, title: str | None) -> Blocks:
    """Features of a page's blocks; the page has at least one."""
    text = np.frombuffer(page.text or b"\0", np.uint8)
    heading = np.frombuffer((title or "").encode("utf-8", "replace") or b"\0", np.uint8)
    return Blocks(*describe_blocks(page.elements, page.blocks, text, heading, _LAYOUT))
