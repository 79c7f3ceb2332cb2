"""The walk's blocks to a document's nodes: paths, figures, captions, image addresses."""

from __future__ import annotations

from typing import Any

from pipeline.document import Node
from pipeline.dom import Plan
from pipeline.image_url import Attributes, pixels, resolve_image
from pipeline.settings.extract import ExtractSettings
from pipeline.walk import Walk


def build_nodes(page: Walk, plan: Plan, settings: ExtractSettings, base: str) -> list[Node]:
    """Build the nodes of a page in reading order."""
    tags = _Tags(page, plan)
    nodes: list[Node] = []
    for place, text in enumerate(page.text):
        element, image = page.element[place], page.image[place]
        if image is not None:
            node = _image_node(image, page, place, tags, settings, base)
            if node.url is None:
                continue
            nodes.append(node)
        elif text is None:
            nodes.append(Node("break", len(nodes), tags.path(element), tags.name(element)))
        else:
            share = min(1.0, page.links[place] / len(text))
            nodes.append(
                Node(
                    "text",
                    len(nodes),
                    tags.path(element),
                    tags.name(element),
                    text,
                    link_share=share,
                )
            )
        nodes[-1].index = len(nodes) - 1
    return nodes


def _image_node(
    image: Any, page: Walk, place: int, tags: _Tags, settings: ExtractSettings, base: str
) -> Node:
    attributes: Attributes = image.attributes
    around = image.parent
    sources = [] if around is None or around.tag != "picture" else _sources(around)
    element = page.element[place]
    path = tags.path(element)
    return Node(
        "image",
        place,
        f"{path}/{page.inline_path[place]}" if path else page.inline_path[place],
        tags.name(element),
        url=resolve_image(attributes, sources, settings.images, base),
        alt=attributes.get("alt") or None,
        title=attributes.get("title") or None,
        figure=tags.figure(element),
        width=pixels(attributes.get("width")),
        height=pixels(attributes.get("height")),
    )


def _sources(picture: Any) -> list[Attributes]:
    return [child.attributes for child in picture.iter() if child.tag == "source"]


class _Tags:
    """Names, paths and figures of a page's block elements, each worked out once."""

    def __init__(self, page: Walk, plan: Plan) -> None:
        self._page, self._names = page, plan.names
        self._figure_tag = next((n for n, name in plan.names.items() if name == "figure"), -1)
        self._paths: dict[int, str] = {0: ""}

    def name(self, element: int) -> str:
        return self._names.get(self._page.tag[element], "") if element else ""

    def path(self, element: int) -> str:
        """Path from body."""
        known = self._paths.get(element)
        if known is not None:
            return known
        name = self.name(element)
        around = self.path(self._page.parent[element])
        own = f"{name}.{self._page.position[element]}"
        path = "" if name in ("body", "html") else f"{around}/{own}" if around else own
        self._paths[element] = path
        return path

    def figure(self, element: int) -> int | None:
        """Number of the enclosing figure: its element's."""
        while element:
            if self._page.tag[element] == self._figure_tag:
                return element
            element = self._page.parent[element]
        return None
