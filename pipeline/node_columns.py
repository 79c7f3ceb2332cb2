"""A page's nodes as columns: what extraction fills, and what the table `documents` stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benben.pipeline.document import Node
from benben.pipeline.schema import NODE

KINDS = ("text", "image", "break")
TEXT, IMAGE, BREAK = range(len(KINDS))


class Strings(NamedTuple):
    """Strings, one behind the other."""

    ends: npt.NDArray[np.int32]  # where each ends; the first begins at 0
    data: npt.NDArray[np.uint8]  # UTF-8


@dataclass(slots=True)
class ImageNode:
    """What only images have; see Node."""

    url: str | None
    src: str | None
    alt: str | None
    title: str | None
    caption: str | None
    width: int | None
    height: int | None


_IMAGE_FIELDS = ("url", "src", "alt", "title", "caption", "width", "height")


@dataclass(eq=False)
class NodeColumns(Sequence[Node]):
    """Nodes of one page; a Node is made when it is asked for."""

    kind: npt.NDArray[np.uint8]  # numbers in KINDS
    path: Strings
    tag: npt.NDArray[np.uint8]  # numbers in tag_names
    text: Strings  # empty where there is none
    figure: npt.NDArray[np.int32]  # 0: none
    hidden: npt.NDArray[np.bool_]
    link_share: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]  # NaN: none
    images: Sequence[ImageNode]  # of the nodes that are images, in order
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

    __hash__ = None  # type: ignore[assignment]  # as a list's


def from_nodes(nodes: Sequence[Node]) -> NodeColumns:
    """Columns of nodes."""
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
    """Nodes of several pages, one behind the other, as an array of schema.NODE."""
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
    """Strings of several pages as one array; those not `valid` are null."""
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
