"""A page's blocks to its nodes: image addresses, captions, and the columns beside them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benben.pipeline.node_columns import IMAGE, ImageNode, NodeColumns
from benben.pipeline.page.columns import (
    A_TEXT,
    ELEMENT,
    FLAGS,
    IMAGE_BLOCK,
    KIND,
    NOTE_START,
    NOTE_STOP,
)
from benben.pipeline.page.dom import CAPTION, NOSCRIPT, Integers, Plan
from benben.pipeline.page.image_url import ImageAddresses, pixels
from benben.pipeline.page.joining import join_blocks
from benben.pipeline.page.node_rows import (
    choose,
    describe,
    number_figures,
    write_paths,
    write_texts,
)
from benben.pipeline.page.notes import Attributes, read_note
from benben.pipeline.page.walked import Walk
from benben.pipeline.settings.extract import ExtractSettings

Found = tuple[str, Attributes] | None


def build_nodes(
    page: Walk,
    plan: Plan,
    settings: ExtractSettings,
    addresses: ImageAddresses,
    base: str,
    scores: npt.NDArray[np.float64],
) -> NodeColumns:
    """Build the nodes of a page in reading order; `scores` are the blocks', NaN for none."""
    found = find_images(page, plan, addresses, base)
    images = [_image(*image) for image in found if image is not None]
    shown = np.array([image is not None for image in found], np.bool_)
    joins = join_blocks(page, plan, settings)
    chosen = choose(page.blocks, joins, shown)
    text = np.frombuffer(page.text, np.uint8)
    texts, link_share, score = write_texts(chosen, page.blocks, text, joins, scores)
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
        link_share=link_share,
        score=score,
        images=images,
        tag_names=plan.tag_names,
    )


def find_images(page: Walk, plan: Plan, addresses: ImageAddresses, base: str) -> list[Found]:
    """Address and attributes of each image, or None for those that have no address.

    An image in <noscript> stands in for one that scripts load: it counts when the page shows its
    address nowhere else and the image before it has none.
    """
    found: list[Found] = []
    fallbacks: list[int] = []
    shown: set[str] = set()
    blocks = page.images[:, IMAGE_BLOCK]
    silent = (page.elements[page.blocks[blocks, ELEMENT], FLAGS] & NOSCRIPT != 0).tolist()
    places = page.images[:, NOTE_START : NOTE_STOP + 1].tolist()
    parts, names = page.parts, plan.attribute_names
    for number, (start, stop) in enumerate(places):
        elements = read_note(parts[start:stop], names)
        url = addresses.resolve(elements, base)
        found.append((url, elements[0]) if url else None)
        if url and silent[number]:
            fallbacks.append(number)
        elif url:
            shown.add(url)
    for number in fallbacks:
        url = found[number][0]  # type: ignore[index]  # fallbacks have one
        beside = number > 0 and blocks[number] == blocks[number - 1] + 1 and found[number - 1]
        if url in shown or beside or not addresses.settings.noscript:
            found[number] = None
        shown.add(url)
    return found


def _image(url: str, attributes: Attributes) -> ImageNode:
    get = attributes.get
    source = get("src") or url
    return ImageNode(
        url=url,
        src=None if source == url else source,
        alt=get("alt") or None,
        title=get("title") or None,
        caption=None,
        width=pixels(get("width")),
        height=pixels(get("height")),
    )


def _add_captions(
    page: Walk, of_element: Integers, figures: list[int], images: list[ImageNode]
) -> None:
    """Give images the text of the figcaption of their figure; `figures` are the images'."""
    elements = page.blocks[:, ELEMENT]
    captions: dict[int, str] = {}
    said = (page.blocks[:, KIND] == A_TEXT) & (page.elements[elements, FLAGS] & CAPTION != 0)
    for place in np.flatnonzero(said).tolist():
        figure = int(of_element[elements[place]])
        text = page.text_of(place)
        captions[figure] = f"{captions[figure]}\n{text}" if figure in captions else text
    for image, figure in zip(images, figures, strict=True):
        image.caption = captions.get(figure) if figure else None
