"""The document: a page as an ordered list of text and image nodes, and its row of `documents`.

Extraction fills the nodes as columns (`NodeColumns`), which is also how the table stores them;
Python objects are made only where someone asks for a node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benben.pipeline import url
from benben.pipeline.archive.warc import Capture
from benben.pipeline.schema import DOCUMENTS, NODE

Kind = Literal["text", "image", "break"]
KINDS = ("text", "image", "break")
TEXT, IMAGE, BREAK = range(len(KINDS))
_IMAGE_FIELDS = ("url", "src", "alt", "title", "caption", "width", "height", "link_target",
                 "full_size")  # fmt: skip
_LISTS = ("opt_outs", "licenses", "page_images")  # columns of `documents`


@dataclass(slots=True)
class Node:
    """A text, an image or an end-of-article break, in reading order.

    `index` and `path` are set at extraction and never change, so a shipped node can be traced to
    its place on the page and a missing one to a rule. A `break` separates the articles of one page
    (a blog index); it corresponds to OBELICS's end-of-document marker.
    """

    kind: Kind
    index: int
    path: str = ""  # DOM path from body, such as "div.1/p.3": tag and position
    tag: str = ""  # nearest block tag: p, h2, li, td, figure ...
    text: str | None = None  # text nodes: paragraphs separated by a blank line
    url: str | None = None  # image nodes: absolute http(s) URL
    src: str | None = None  # the address as written on the page, if it differs from url
    alt: str | None = None
    title: str | None = None
    caption: str | None = None  # text of the figcaption of the same figure
    figure: int | None = None  # number of the enclosing figure on the page
    width: int | None = None  # declared size in CSS pixels
    height: int | None = None
    link_target: str | None = None  # of a link around the image: image, same_host or other_host
    full_size: str | None = None  # the picture that the link leads to
    hidden: bool = False  # hidden by markup: `hidden`, display: none, visibility: hidden
    comment: bool = False  # in a part of the page for readers' comments
    link_share: float = 0.0  # share of the text's characters inside links, 0..1
    content_score: float | None = None  # 0 boilerplate .. 1 main content; None: not scored


@dataclass(slots=True)
class Document:
    """A page after extraction: nodes, and facts about the page."""

    url: str
    nodes: Sequence[Node] = ()  # NodeColumns, if the page was extracted
    title: str | None = None
    lang: str | None = None  # declared by the page, BCP 47
    charset: str | None = None  # WHATWG label the payload was decoded with
    base_url: str | None = None  # after <base href>
    opt_outs: tuple[str, ...] = ()  # such as "robots-meta:noai", "x-robots-tag:noimageindex"
    licenses: tuple[str, ...] = ()  # URLs of rel=license links
    page_images: tuple[str, ...] = ()  # og:image and JSON-LD images: metadata, not nodes
    page_type: str | None = None  # article, forum ...: pipeline/page/score; None: not scored
    confidence: float | None = None  # expected token F1 of the main text, 0..1
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


# Nodes as columns.


class Strings(NamedTuple):
    """Concatenated strings."""

    ends: npt.NDArray[np.int32]  # where each ends; the first begins at 0
    data: npt.NDArray[np.uint8]  # UTF-8


@dataclass(slots=True)
class ImageNode:
    """Fields that only images have; see Node."""

    url: str | None
    src: str | None
    alt: str | None
    title: str | None
    caption: str | None
    width: int | None
    height: int | None
    link_target: str | None
    full_size: str | None


@dataclass(eq=False)
class NodeColumns(Sequence[Node]):
    """The nodes of one page; a Node is made when it is asked for."""

    kind: npt.NDArray[np.uint8]  # numbers in KINDS
    path: Strings
    tag: npt.NDArray[np.uint8]  # numbers in tag_names
    text: Strings  # empty if the node is no text
    figure: npt.NDArray[np.int32]  # 0: none
    hidden: npt.NDArray[np.bool_]
    comment: npt.NDArray[np.bool_]
    link_share: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]  # NaN: none
    images: Sequence[ImageNode]  # one for each node that is an image
    tag_names: Sequence[str]

    @cached_property
    def _nodes(self) -> list[Node]:
        return [Node(**row) for row in to_array([self]).to_pylist()]

    def __len__(self) -> int:
        return len(self.kind)

    @overload
    def __getitem__(self, place: int) -> Node: ...
    @overload
    def __getitem__(self, place: slice) -> list[Node]: ...
    def __getitem__(self, place: int | slice) -> Node | list[Node]:
        return self._nodes[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._nodes == list(other)

    __hash__ = None  # type: ignore[assignment]  # like a list


def from_nodes(nodes: Sequence[Node]) -> NodeColumns:
    """Convert nodes to columns."""
    if isinstance(nodes, NodeColumns):
        return nodes
    names = sorted({node.tag for node in nodes})
    return NodeColumns(
        kind=np.array([KINDS.index(node.kind) for node in nodes], np.uint8),
        path=_strings(node.path for node in nodes),
        tag=np.array([names.index(node.tag) for node in nodes], np.uint8),
        text=_strings(node.text or "" for node in nodes),
        figure=np.array([node.figure or 0 for node in nodes], np.int32),
        hidden=np.array([node.hidden for node in nodes], np.bool_),
        comment=np.array([node.comment for node in nodes], np.bool_),
        link_share=np.array([node.link_share for node in nodes], np.float32),
        score=np.array([node.content_score for node in nodes], np.float32),
        images=[
            ImageNode(*(getattr(node, name) for name in _IMAGE_FIELDS))
            for node in nodes
            if node.kind == "image"
        ],
        tag_names=names,
    )


def to_array(pages: Sequence[NodeColumns]) -> pa.StructArray:
    """Concatenate the nodes of several pages to an array of schema.NODE."""
    kind = _joined([page.kind for page in pages], np.uint8)
    figure = _joined([page.figure for page in pages], np.int32)
    score = _joined([page.score for page in pages], np.float32)
    is_image = kind == IMAGE
    images = [image for page in pages for image in page.images]
    image_rows = pa.array(np.cumsum(is_image, dtype=np.int32) - 1, mask=~is_image)
    columns: dict[str, pa.Array] = {
        "kind": pa.array(KINDS).take(pa.array(kind)),
        "index": pa.array(
            _joined([np.arange(len(page), dtype=np.int32) for page in pages], np.int32)
        ),
        "path": _string_array([page.path for page in pages], None),
        "tag": _tags(pages),
        "text": _string_array([page.text for page in pages], kind == TEXT),
        "figure": pa.array(figure, mask=figure == 0),
        "hidden": pa.array(_joined([page.hidden for page in pages], np.bool_)),
        "comment": pa.array(_joined([page.comment for page in pages], np.bool_)),
        "link_share": pa.array(_joined([page.link_share for page in pages], np.float32)),
        "content_score": pa.array(score, mask=np.isnan(score)),
    }
    for name in _IMAGE_FIELDS:
        values = pa.array([getattr(image, name) for image in images], NODE.field(name).type)
        columns[name] = values.take(image_rows)
    return pa.StructArray.from_arrays([columns[field.name] for field in NODE], fields=list(NODE))


def _strings(values: Iterable[str]) -> Strings:
    encoded = [value.encode("utf-8", "replace") for value in values]
    ends = np.cumsum([len(value) for value in encoded], dtype=np.int32)
    return Strings(ends, np.frombuffer(b"".join(encoded), np.uint8))


def _joined(columns: Sequence[npt.NDArray[Any]], kind: type[Any]) -> npt.NDArray[Any]:
    return np.concatenate(columns) if columns else np.empty(0, kind)


def _string_array(pages: Sequence[Strings], valid: npt.NDArray[np.bool_] | None) -> pa.StringArray:
    """Concatenate the strings of several pages to one array; those not `valid` are null."""
    starts = np.cumsum([0, *(len(page.data) for page in pages)])
    if starts[-1] > np.iinfo(np.int32).max:
        raise ValueError("strings of more than 2 GiB in one batch of pages")
    shifted = [page.ends + start for page, start in zip(pages, starts, strict=False)]
    offsets = np.concatenate([[0], *shifted]).astype(np.int32)
    data = _joined([page.data for page in pages], np.uint8)
    bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.StringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data), bitmap
    )


def _tags(pages: Sequence[NodeColumns]) -> pa.StringArray:
    arrays = [pa.array(page.tag_names, pa.string()).take(pa.array(page.tag)) for page in pages]
    return pa.concat_arrays(arrays) if arrays else pa.array([], pa.string())


# Documents as rows of `documents`, and back.


def document_id(warc: str, offset: int, url: str, digest: str) -> str:
    """Return a capture's id from its content and place: 32 hex digits, the same in every run.

    Of `warc` only the file name counts, so a crawl that is moved keeps its ids.
    """
    key = "\0".join((warc.rsplit("/", 1)[-1], str(offset), url, digest))
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def to_batch(captures: Sequence[Capture], documents: Sequence[Document]) -> pa.RecordBatch:
    """Build rows of DOCUMENTS from captures and the document extracted from each."""
    hosts = [url.host(capture.url) for capture in captures]
    columns = {
        "doc_id": [
            document_id(capture.warc, capture.offset, capture.url, capture.payload_digest)
            for capture in captures
        ],
        "url": [capture.url for capture in captures],
        "url_key": [url.url_key(capture.url) for capture in captures],
        "host": hosts,
        "domain": [url.domain(host) for host in hosts],
        "warc": [capture.warc for capture in captures],
        "warc_offset": [capture.offset for capture in captures],
        "warc_length": [capture.length for capture in captures],
        "captured_at": [capture.captured_at for capture in captures],
        "payload_digest": [capture.payload_digest for capture in captures],
        "truncated": [capture.truncated for capture in captures],
        "status": [capture.status for capture in captures],
        "title": [document.title for document in documents],
        "lang": [document.lang for document in documents],
        "charset": [document.charset for document in documents],
        "opt_outs": [document.opt_outs for document in documents],
        "licenses": [document.licenses for document in documents],
        "page_images": [document.page_images for document in documents],
        "page_type": [document.page_type for document in documents],
        "confidence": [document.confidence for document in documents],
        "reason": [document.reason for document in documents],
        "nodes": _nodes(documents),
    }
    return pa.RecordBatch.from_pydict(columns, schema=DOCUMENTS)


def _nodes(documents: Sequence[Document]) -> pa.ListArray:
    pages = [from_nodes(document.nodes) for document in documents]
    offsets = np.cumsum([0, *(len(page) for page in pages)], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), to_array(pages))


_DOCUMENT_FIELDS = [field.name for field in fields(Document) if field.name in DOCUMENTS.names]


def from_batch(rows: pa.RecordBatch) -> list[Document]:
    """Build documents from rows; columns that were not read keep their defaults."""
    found: list[Document] = []
    for row in rows.select([n for n in _DOCUMENT_FIELDS if n in rows.schema.names]).to_pylist():
        row["nodes"] = [Node(**node) for node in row.get("nodes") or ()]
        values: dict[str, Any] = {n: tuple(v or ()) if n in _LISTS else v for n, v in row.items()}
        found.append(Document(**values))
    return found
