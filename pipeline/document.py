"""The record: a page as an ordered list of text and image nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "image", "break"]


@dataclass(slots=True)
class Node:
    """One text, image or end-of-article break, in reading order.

    `index` and `path` are given at extraction and never change, so a shipped node can be traced
    to its place on the page and a missing one to a rule. A `break` is the structural form of
    OBELICS's end-of-document marker: several articles on one page (a blog index).
    """

    kind: Kind
    index: int
    path: str = ""  # DOM path from body, such as "div.1/p.3": tag and element position
    tag: str = ""  # nearest block tag: p, h2, li, td, figure ...
    text: str | None = None  # text nodes: paragraphs separated by a blank line
    url: str | None = None  # image nodes: absolute http(s) URL
    src: str | None = None  # the address as written on the page, where it differs from url
    alt: str | None = None
    title: str | None = None
    caption: str | None = None  # text of the figcaption of the same figure
    figure: int | None = None  # number of the enclosing figure on the page
    width: int | None = None  # declared size in CSS pixels
    height: int | None = None
    hidden: bool = False  # the markup hides it: `hidden`, display: none, visibility: hidden
    link_share: float = 0.0  # share of the text's characters inside links, 0..1
    content_score: float | None = None  # 0 boilerplate .. 1 main content; None: not scored


@dataclass(slots=True)
class Document:
    """A page after extraction: nodes and page-level facts."""

    url: str
    nodes: Sequence[Node] = ()  # of an extracted page: NodeColumns, which make them when asked
    title: str | None = None
    lang: str | None = None  # declared by the page, BCP 47
    charset: str | None = None  # WHATWG label the payload was decoded with
    base_url: str | None = None  # after <base href>
    opt_outs: tuple[str, ...] = ()  # such as "robots-meta:noai", "x-robots-tag:noimageindex"
    licenses: tuple[str, ...] = ()  # URLs of rel=license links
    page_images: tuple[str, ...] = ()  # og:image and JSON-LD images: metadata, not nodes
    reason: str | None = None  # why there are no nodes; None when extraction succeeded

    def texts(self) -> Iterator[Node]:
        """Yield the text nodes in reading order."""
        return (node for node in self.nodes if node.kind == "text")

    def images(self) -> Iterator[Node]:
        """Yield the image nodes in reading order."""
        return (node for node in self.nodes if node.kind == "image")

    def main_text(self, threshold: float = 0.5) -> str:
        """Join the text nodes whose content score is at least `threshold` by blank lines."""
        return "\n\n".join(
            node.text or ""
            for node in self.texts()
            if node.content_score is None or node.content_score >= threshold
        )


def document_id(warc: str, offset: int, url: str, digest: str) -> str:
    """Name a capture by its content and place: 32 hex digits, equal in every run.

    `warc` is the archive's file name without folders, so a moved crawl keeps its ids.
    """
    key = "\0".join((warc.rsplit("/", 1)[-1], str(offset), url, digest))
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
