"""The walk's blocks to a document's nodes: paths, figures, captions, image addresses."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.document import Node
from pipeline.page.dom import CAPTION, FIGURE, HIDDEN, NOSCRIPT, Plan
from pipeline.page.image_url import Attributes, ImageAddresses, pixels
from pipeline.page.joining import join_texts
from pipeline.page.walk import FLAGS, PARENT, POSITION, TAG, Walk
from pipeline.settings.extract import ExtractSettings

_ROOTS = frozenset(("html", "body"))


def build_nodes(
    page: Walk,
    plan: Plan,
    settings: ExtractSettings,
    addresses: ImageAddresses,
    base: str,
    scores: Sequence[float | None],
) -> list[Node]:
    """Build the nodes of a page in reading order; `scores` are the blocks'."""
    elements = _Elements(page, plan)
    flags_of, path_of, name_of = elements.flags, elements.path, elements.name
    images = _images(page, elements, addresses, base)
    joined = join_texts(page, plan, settings)
    captions = _captions(page, elements)
    nodes: list[Node] = []
    done = 0
    for place, text in enumerate(page.text):
        element, score = page.element[place], scores[place]
        flags = flags_of[element]
        if text:
            links = page.links[place]
            if joined:
                if place < done:
                    continue
                if group := joined.get(place):
                    text, done = group.text, group.end
                    links = sum(page.links[place:done])
                    score = _mean(scores[place:done], page.text[place:done])
            node = Node("text", len(nodes), path_of(element), name_of(element), text)
            if links:
                node.link_share = min(1.0, links / len(text))
            if flags & CAPTION:
                node.figure = elements.figure(element)
        elif place in images:
            node = _image_node(images[place], page.images[place].path, path_of(element))
            node.index, node.tag = len(nodes), name_of(element)
            if flags & FIGURE:
                node.figure = elements.figure(element)
                node.caption = captions.get(node.figure or 0)
        elif place in page.images:
            continue
        else:
            node = Node("break", len(nodes), path_of(element), name_of(element))
        node.content_score = score
        if flags & HIDDEN:
            node.hidden = True
        nodes.append(node)
    return nodes


def _mean(scores: Sequence[float | None], texts: Sequence[str]) -> float | None:
    """Mean score of joined blocks by their lengths."""
    pairs = [
        (score, len(text)) for score, text in zip(scores, texts, strict=True) if score is not None
    ]
    total = sum(length for _, length in pairs)
    return sum(score * length for score, length in pairs) / total if total else None


def _image_node(found: tuple[str, Attributes], inline: str, path: str) -> Node:
    url, attributes = found
    get = attributes.get
    source = get("src") or url
    return Node(
        "image",
        0,
        f"{path}/{inline}" if path and inline else path or inline,
        url=url,
        src=None if source == url or source.startswith("data:") else source,
        alt=get("alt") or None,
        title=get("title") or None,
        width=pixels(get("width")),
        height=pixels(get("height")),
    )


def _images(
    page: Walk, elements: _Elements, addresses: ImageAddresses, base: str
) -> dict[int, tuple[str, Attributes]]:
    """Address and attributes of the images that have an address, by block.

    An image in <noscript> stands in for one that scripts load: it counts when the page shows its
    address nowhere else and the image before it has none.
    """
    found: dict[int, tuple[str, Attributes]] = {}
    fallbacks: list[int] = []
    shown: set[str] = set()
    for place, image in page.images.items():
        attributes: Attributes = image.node.attributes
        url = addresses.resolve(image.node, attributes, base)
        if url is None:
            continue
        found[place] = (url, attributes)
        if elements.flags[page.element[place]] & NOSCRIPT:
            fallbacks.append(place)
        else:
            shown.add(url)
    for place in fallbacks:
        url = found[place][0]
        if url in shown or place - 1 in found or not addresses.settings.noscript:
            del found[place]
        shown.add(url)
    return found


def _captions(page: Walk, elements: _Elements) -> dict[int, str]:
    """Text of the figcaption of each figure."""
    captions: dict[int, str] = {}
    if not elements.figures:
        return captions
    for element, text in zip(page.element, page.text, strict=True):
        if text and elements.flags[element] & CAPTION and (figure := elements.figure(element)):
            captions[figure] = f"{captions[figure]}\n{text}" if figure in captions else text
    return captions


class _Elements:
    """Names, paths and figures of a page's block elements, each worked out once."""

    def __init__(self, page: Walk, plan: Plan) -> None:
        self.flags = page.column(FLAGS)
        self._parents, self._positions = page.column(PARENT), page.column(POSITION)
        self._names = [plan.names.get(tag, "") for tag in page.column(TAG)]
        self.name = self._names.__getitem__
        self._paths: dict[int, str] = {0: ""}
        figures = [number for number, name in enumerate(self._names) if name == "figure"]
        self.figures = {element: number for number, element in enumerate(figures, 1)}

    def path(self, element: int) -> str:
        """Path from body."""
        paths = self._paths
        if (path := paths.get(element)) is not None:
            return path
        chain = []
        while path is None:
            chain.append(element)
            element = self._parents[element]
            path = paths.get(element)
        for element in reversed(chain):
            name = self._names[element]
            own = f"{name}.{self._positions[element]}"
            path = "" if name in _ROOTS else f"{path}/{own}" if path else own
            paths[element] = path
        return path

    def figure(self, element: int) -> int | None:
        """Number of the enclosing figure."""
        while element and element not in self.figures:
            element = self._parents[element]
        return self.figures.get(element)
