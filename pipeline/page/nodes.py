"""The blocks of a page to its nodes: which blocks join, image addresses, captions, paths.

One text node is a block, the cells of a table row, a paragraph as OBELICS has it, or a whole run of
text between two images, as the settings say. All columns are written by compiled code.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benben.pipeline.compiled import (
    Bytes,
    Floats,
    Integers,
    borrowed,
    called,
    compiled,
    int64,
)
from benben.pipeline.document import IMAGE, ImageNode, NodeColumns, Strings
from benben.pipeline.page.dom.columns import (
    A_TEXT,
    AN_IMAGE,
    CHARS,
    DEPTH,
    ELEMENT,
    FLAGS,
    IMAGE_BLOCK,
    KIND,
    LINKED,
    NOTE_START,
    NOTE_STOP,
    PARENT,
    PATH_START,
    PATH_STOP,
    POSITION,
    START,
    STOP,
    TAG,
)
from benben.pipeline.page.dom.elements import (
    CAPTION,
    FIGURE,
    HIDDEN,
    NO_GAP,
    NOSCRIPT,
    PARAGRAPH,
    SEPARATORS,
    Plan,
    Tables,
    tag_id,
)
from benben.pipeline.page.dom.notes import Attributes, read_note, write_step
from benben.pipeline.page.dom.walk import Walk
from benben.pipeline.page.image_url import ImageAddresses, pixels
from benben.pipeline.page.rows import BORDER, Borders, join_rows
from benben.pipeline.references import by_reference
from benben.pipeline.settings.extract import ExtractSettings

APART = -1  # a block that begins a node, in place of the number of a separator
_FIGURE, _BODY, _HTML = tag_id("figure"), tag_id("body"), tag_id("html")
_LIMITS = {"block": 0, "paragraph": PARAGRAPH, "run": PARAGRAPH + 1}
_SEPARATORS = np.frombuffer("".join(SEPARATORS).encode(), np.uint8)
_SEPARATOR_ENDS = np.cumsum([0, *(len(separator) for separator in SEPARATORS)])
_BORDER = np.frombuffer(BORDER.encode(), np.uint8)
_STEP_BYTES = 32  # of a path: a name and a position
_SLASH = 47

Found = tuple[str, Attributes] | None
Figures = npt.NDArray[np.int32]


class Chosen(NamedTuple):
    """Which blocks make each node."""

    first: Integers  # its first block
    end: Integers  # the block after its last
    image: Integers  # its number among the page's images, or -1


def build_nodes(
    page: Walk,
    plan: Plan,
    settings: ExtractSettings,
    addresses: ImageAddresses,
    base: str,
    scores: Floats,
    comments: npt.NDArray[np.bool_],
) -> NodeColumns:
    """Make the nodes of a page in reading order; `scores` holds one a block, NaN for none.

    `comments` tells for each block whether it is a reader's comment.
    """
    found = find_images(page, plan, addresses, base)
    images = [_image(*image, base, addresses) for image in found if image is not None]
    shown = np.array([image is not None for image in found], np.bool_)
    joins, borders = join_blocks(page, plan, settings)
    chosen = choose(page.blocks, joins, shown)
    text = np.frombuffer(page.text, np.uint8)
    texts, link_share, score = write_texts(chosen, page.blocks, text, joins, borders, scores)
    notes = np.frombuffer(page.notes, np.uint8)
    figures = number_figures(page.elements)
    kind, tag, figure, hidden = describe(chosen, page.elements, page.blocks, figures)
    if figure.any():
        _add_captions(page, figures, figure[kind == IMAGE].tolist(), images)
    return NodeColumns(
        kind=kind,
        path=write_paths(chosen, page.elements, page.blocks, page.images, notes, plan.tables),
        tag=tag,
        text=texts,
        figure=figure,
        hidden=hidden,
        comment=comments[chosen.first],
        link_share=link_share,
        score=score,
        images=images,
        tag_names=plan.tag_names,
    )


def find_images(page: Walk, plan: Plan, addresses: ImageAddresses, base: str) -> list[Found]:
    """Return the address and attributes of each image; None for an image without an address."""
    found: list[Found] = []
    stands_in: list[bool] = []  # placeholders
    background = (page.images[:, PATH_START] == page.images[:, PATH_STOP]).tolist()
    places = page.images[:, NOTE_START : NOTE_STOP + 1].tolist()
    parts, names = page.parts, plan.attribute_names
    for number, (start, stop) in enumerate(places):
        elements = read_note(parts[start:stop], names)
        address = addresses.resolve(elements, base, background[number])
        found.append((address.url, elements[0]) if address else None)
        stands_in.append(address is not None and not address.shown)
    blocks = page.images[:, IMAGE_BLOCK]
    silent = page.elements[page.blocks[blocks, ELEMENT], FLAGS] & NOSCRIPT != 0
    if silent.any():
        _choose_fallbacks(found, stands_in, silent.tolist(), np.diff(blocks, prepend=-9).tolist())
        if not addresses.settings.noscript:
            found = [None if of else image for of, image in zip(silent, found, strict=True)]
    return found


def _choose_fallbacks(
    found: list[Found], stands_in: list[bool], silent: list[bool], steps: list[int]
) -> None:
    """Remove images in <noscript> (`silent`), which stand in for those that scripts load.

    One counts if the page shows its address nowhere else and the image right before it (`steps` of
    one block) has none, or that of a placeholder, which it replaces.
    """
    shown = {image[0] for image, of in zip(found, silent, strict=True) if image and not of}
    for number, image in enumerate(found):
        if not silent[number] or image is None:
            continue
        beside = steps[number] == 1
        if beside and stands_in[number - 1] and not stands_in[number]:
            found[number - 1] = None
        if image[0] in shown or (beside and found[number - 1]):
            found[number] = None
        shown.add(image[0])


def _image(url: str, attributes: Attributes, base: str, addresses: ImageAddresses) -> ImageNode:
    get = attributes.get
    source = get("src") or url
    target, full_size = addresses.link_target(get("href"), base)
    return ImageNode(
        url=url,
        src=None if source == url else source,
        alt=get("alt") or None,
        title=get("title") or None,
        caption=None,
        width=pixels(get("width")),
        height=pixels(get("height")),
        link_target=target,
        full_size=full_size,
    )


def _add_captions(
    page: Walk, figures: Figures, of_images: list[int], images: list[ImageNode]
) -> None:
    """Give images the text of the figcaption in their figure (`figures`: by element)."""
    elements = page.blocks[:, ELEMENT]
    captions: dict[int, str] = {}
    in_caption = (page.blocks[:, KIND] == A_TEXT) & (page.elements[elements, FLAGS] & CAPTION != 0)
    for place in np.flatnonzero(in_caption).tolist():
        figure = int(figures[elements[place]])
        text = page.text_of(place)
        captions[figure] = f"{captions[figure]}\n{text}" if figure in captions else text
    for image, figure in zip(images, of_images, strict=True):
        image.caption = captions.get(figure) if figure else None


# Which blocks are joined.


def join_blocks(page: Walk, plan: Plan, settings: ExtractSettings) -> tuple[Integers, Borders]:
    """Return for each block what joins it to the block before, and its borders of cells.

    What joins is the number of a separator, or APART.
    """
    size = len(page.blocks)
    joins = np.full(size, APART)
    if settings.table_rows:
        borders = join_rows(page.elements, page.blocks, joins)
    else:
        borders = Borders(np.zeros(size, np.int32), np.zeros(size, np.int32))
    if limit := _LIMITS[settings.texts]:
        _join_runs(page.elements, page.blocks, plan.tables.gaps, limit, joins)
    return joins, borders


@compiled
def _join_runs(
    elements: Integers, blocks: Integers, gaps: Bytes, limit: int, joins: Integers
) -> None:
    """Join neighbouring texts if the break between them is weaker than `limit`."""
    for place in range(1, len(blocks)):
        if (
            joins[place] == APART
            and blocks[place, KIND] == A_TEXT
            and blocks[place - 1, KIND] == A_TEXT
        ):
            gap = _gap(elements, gaps, blocks[place - 1, ELEMENT], blocks[place, ELEMENT])
            if gap < limit:
                joins[place] = gap


@compiled
def _gap(elements: Integers, gaps: Bytes, left: int, right: int) -> int:
    """Return the break between blocks of two elements: the strongest that lies between them.

    Two blocks of one element are separated by a blank line (two <br>) or an element without text.
    """
    if left == right:
        return PARAGRAPH
    gap = NO_GAP
    while left != right:
        # Elements are numbered in document order, so the later one is no ancestor of the other.
        later = max(left, right)
        gap = max(gap, int64(gaps[elements[later, TAG]]))
        if left > right:
            left = elements[left, PARENT]
        else:
            right = elements[right, PARENT]
    return gap


# The columns of the nodes, compiled.


@compiled
def choose(blocks: Integers, joins: Integers, shown: npt.NDArray[np.bool_]) -> Chosen:
    """Nodes of a page; `shown` tells for each of its images whether it has an address."""
    size = len(blocks)
    first, end, image = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    made = images = place = 0
    while place < size:
        behind = place + 1
        while behind < size and joins[behind] != APART:
            behind += 1
        is_image = blocks[place, KIND] == AN_IMAGE
        images += is_image
        if not is_image or shown[images - 1]:
            first[made], end[made], image[made] = place, behind, images - 1 if is_image else -1
            made += 1
        place = behind
    return Chosen(first[:made], end[:made], image[:made])


@compiled
def describe(
    chosen: Chosen, elements: Integers, blocks: Integers, figures: Figures
) -> tuple[Bytes, Bytes, Figures, npt.NDArray[np.bool_]]:
    """Return kind, tag, figure and hidden of each node; `figures` holds one an element."""
    elements, blocks = borrowed(elements), borrowed(blocks)
    size = len(chosen.first)
    kinds, tags = np.empty(size, np.uint8), np.empty(size, np.uint8)
    figure, hidden = np.zeros(size, np.int32), np.empty(size, np.bool_)
    for node in range(size):
        kind, element = blocks[chosen.first[node], KIND], blocks[chosen.first[node], ELEMENT]
        flags = elements[element, FLAGS]
        kinds[node], tags[node] = kind, elements[element, TAG]
        hidden[node] = flags & HIDDEN != 0
        # Texts of a figure other than its caption are not about its image.
        if (flags & FIGURE and kind == AN_IMAGE) or (flags & CAPTION and kind == A_TEXT):
            figure[node] = figures[element]
    return kinds, tags, figure, hidden


@compiled
def write_texts(
    chosen: Chosen,
    blocks: Integers,
    text: Bytes,
    joins: Integers,
    borders: Borders,
    scores: Floats,
) -> tuple[Strings, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the texts of the nodes, their shares of characters in links, and their scores."""
    size = len(chosen.first)
    blocks, text, joins = borrowed(blocks), borrowed(text), borrowed(joins)
    marks = borders.before.sum() + borders.behind.sum()
    data = np.empty(len(text) + len(blocks) * len(_SEPARATORS) + marks * len(_BORDER), np.uint8)
    ends = np.empty(size, np.int32)
    share, score = np.zeros(size, np.float32), np.empty(size, np.float32)
    out, written = borrowed(data), int64(0)
    for node in range(size):
        first, end = chosen.first[node], chosen.end[node]
        if blocks[first, KIND] == A_TEXT:
            written = _join(out, written, text, blocks, joins, borders, first, end)
            share[node] = _link_share(blocks, joins, borders, first, end)
        ends[node] = written
        score[node] = _mean(scores, blocks, first, end)
    return Strings(ends, data[:written]), share, score


@compiled
def write_paths(
    chosen: Chosen,
    elements: Integers,
    blocks: Integers,
    images: Integers,
    notes: Bytes,
    own_tables: Tables,
) -> Strings:
    """Return the paths of the nodes."""
    tables = by_reference(own_tables)
    elements, blocks, notes = borrowed(elements), borrowed(blocks), borrowed(notes)
    size = len(chosen.first)
    data = np.empty(_path_bytes(elements, blocks, images), np.uint8)
    ends = np.empty(size, np.int32)
    chain = np.empty(elements[:, DEPTH].max() + 2, np.int64)
    out = borrowed(data)
    end = int64(0)
    for node in range(size):
        begin, image = end, chosen.image[node]
        end = _write_path(out, end, elements, blocks[chosen.first[node], ELEMENT], tables, chain)
        if image >= 0:
            start, stop = images[image, PATH_START], images[image, PATH_STOP]
            if stop > start and end > begin:
                out[end] = _SLASH
                end += 1
            end = _copy(out, end, notes, start, stop)
        ends[node] = end
    return Strings(ends, data[:end])


@compiled
def number_figures(elements: Integers) -> Figures:
    """Return the number of the figure that each element is or lies in, from 1; 0 for none."""
    figures = np.zeros(len(elements), np.int32)
    count = 0
    for element in range(1, len(elements)):
        if elements[element, TAG] == _FIGURE:
            count += 1
            figures[element] = count
        else:
            figures[element] = figures[elements[element, PARENT]]
    return figures


@called
def _path_bytes(elements: Integers, blocks: Integers, images: Integers) -> int:
    """Return the most bytes that the paths of the nodes can take."""
    total = 0
    for block in range(len(blocks)):
        total += (elements[blocks[block, ELEMENT], DEPTH] + 1) * _STEP_BYTES
    for image in range(len(images)):
        total += images[image, PATH_STOP] - images[image, PATH_START] + 1
    return total


@called
def _write_path(
    into: Bytes, end: int, elements: Integers, element: int, tables: Tables, chain: Integers
) -> int:
    """Append the path of an element from body; return where it ends."""
    levels = 0
    while element:
        tag = elements[element, TAG]
        if tag in (_BODY, _HTML):
            break
        chain[levels] = element
        levels += 1
        element = elements[element, PARENT]
    for level in range(levels - 1, -1, -1):
        step = elements[chain[level]]
        end = write_step(into, end, tables, step[TAG], step[POSITION])
        if level:
            into[end] = _SLASH
            end += 1
    return end


@compiled
def _copy(into: Bytes, end: int, source: Bytes, start: int, stop: int) -> int:
    """Append bytes; return where they end."""
    for place in range(start, stop):
        into[end] = source[place]
        end += 1
    return end


@called
def _join(
    into: Bytes,
    end: int,
    text: Bytes,
    blocks: Integers,
    joins: Integers,
    borders: Borders,
    first: int,
    stop: int,
) -> int:
    """Append the texts of some blocks with what joins them; return where they end."""
    begin = end
    for place in range(first, stop):
        if place > first:
            join = joins[place]
            start = _SEPARATOR_ENDS[join]
            end = _copy(into, end, _SEPARATORS, start, _SEPARATOR_ENDS[join + 1])
        for _ in range(borders.before[place]):
            end = _copy(into, end, _BORDER, int64(end == begin), len(_BORDER))
        end = _copy(into, end, text, blocks[place, START], blocks[place, STOP])
    for number in range(borders.behind[stop - 1], 0, -1):
        end = _copy(into, end, _BORDER, 0, len(_BORDER) - (number == 1))
    return end


@compiled
def _link_share(
    blocks: Integers, joins: Integers, borders: Borders, first: int, stop: int
) -> float:
    """Return the share of the joined text's characters that lie in links."""
    chars = linked = 0
    for place in range(first, stop):
        chars += blocks[place, CHARS] + borders.before[place] * len(_BORDER)
        linked += blocks[place, LINKED]
        if place > first:
            chars += _SEPARATOR_ENDS[joins[place] + 1] - _SEPARATOR_ENDS[joins[place]]
    return min(1.0, linked / max(1, chars))


@compiled
def _mean(scores: Floats, blocks: Integers, first: int, stop: int) -> float:
    """Return the mean score of joined blocks, weighted by their lengths."""
    if stop == first + 1:
        return float(scores[first])
    total, chars = 0.0, 0
    for place in range(first, stop):
        total += scores[place] * blocks[place, CHARS]
        chars += blocks[place, CHARS]
    return total / max(1, chars)
