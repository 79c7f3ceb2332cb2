"""Where a paragraph stands on its page: kind of markup, run, section, heading level, figure.

A run is a stretch of neighbouring blocks of one kind: items of a list, rows of a table, code,
definitions, or texts under one heading. A section is a heading and what follows up to the next one.
All of it is read from the nodes' paths.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benben.filters.declaration import OWN, Column, Mask, Scope, Signal, stored
from benben.filters.signals.page import image_field, node_field, paragraph_nodes
from benben.filters.signals.text import Batch, Integers, string_buffers
from benben.pipeline.compiled import Bytes, borrowed, compiled, int64

KINDS = ("text", "heading", "list_item", "table_row", "code", "definition", "caption")
_TEXT, _HEADING, _ITEM, _ROW, _CODE, _DEFINITION, _CAPTION = range(len(KINDS))
_KEPT_BYTES = 8  # of an element's name: enough to tell those below from all others
_SLASH, _DOT, _HASH_PRIME = 47, 46, 0x100000001B3


def _pack(name: str) -> int:
    return int.from_bytes(name.encode()[:_KEPT_BYTES], "big")


_H1, _H6 = _pack("h1"), _pack("h6")
_PRE, _LISTING, _XMP, _PLAIN = _pack("pre"), _pack("listing"), _pack("xmp"), _pack("plaintext")
_LI, _DT, _DD, _TR = _pack("li"), _pack("dt"), _pack("dd"), _pack("tr")
_UL, _OL, _DL, _TABLE = _pack("ul"), _pack("ol"), _pack("dl"), _pack("table")
_FIGCAPTION, _TABLE_CAPTION = _pack("figcaption"), _pack("caption")


class Places(NamedTuple):
    """Columns of the text nodes of a batch, in order."""

    kind: Integers  # numbers in KINDS
    level: Integers  # of a heading; 0: none
    run: Integers  # number in the document
    section: Integers


def places(batch: Batch) -> Places:
    """Find the place of each text node; call it through `batch.once`."""
    is_text, breaks = batch.once(_is_text), _is_kind(batch, "break")
    paths = pc.fill_null(batch.nodes.field("path"), "").cast(pa.string())
    bounds, data = string_buffers(paths)
    where = np.flatnonzero(is_text)
    kind, level, container = (np.empty(len(where), np.int64) for _ in range(3))
    _read_paths(data, bounds, where, kind, level, container)
    document = batch.node_documents[where].astype(np.int64)
    first = np.append(True, document[1:] != document[:-1])[: len(where)]
    other = first | _changes(container) | _changes(kind)
    heading = (kind == _HEADING) & other
    section = np.cumsum(heading) + np.cumsum(breaks)[where]
    run = np.cumsum(other | _changes(section))
    begin = np.maximum.accumulate(np.where(first, np.arange(len(where)), 0))
    return Places(kind, level, run - run[begin], section - section[begin])


def _is_text(batch: Batch) -> Mask:
    return _is_kind(batch, "text")


def _is_kind(batch: Batch, kind: str) -> Mask:
    """Tell which nodes of the batch are of a kind."""
    found = pc.equal(batch.nodes.field("kind"), kind)
    return np.asarray(found.to_numpy(zero_copy_only=False))


def _changes(values: Integers) -> Mask:
    return np.append(True, values[1:] != values[:-1])[: len(values)]


@compiled
def _read_paths(
    data: Bytes,
    bounds: NDArray[np.int32],
    rows: Integers,
    kinds: Integers,
    levels: Integers,
    containers: Integers,
) -> None:
    """Write kind, heading level and a hash of the list, table or code block around each node."""
    data, kinds, levels = borrowed(data), borrowed(kinds), borrowed(levels)
    containers = borrowed(containers)
    for row in range(len(rows)):
        start, end = int64(bounds[rows[row]]), int64(bounds[rows[row] + 1])
        kind, level, container, around = int64(_TEXT), int64(0), int64(0), int64(0)
        name, size, named, running = int64(0), int64(0), True, int64(1)
        for place in range(start, end + 1):
            code = int64(data[place]) if place < end else int64(_SLASH)
            if code == _SLASH:
                if _H1 <= name <= _H6:
                    kind, level, container = int64(_HEADING), name - _H1 + 1, running
                elif name in (_UL, _OL, _DL, _TABLE):
                    around = running
                elif name in (_PRE, _LISTING, _XMP, _PLAIN):
                    kind, container = int64(_CODE), running
                elif name in (_FIGCAPTION, _TABLE_CAPTION):
                    kind, container = int64(_CAPTION), running
                elif kind not in (_HEADING, _CODE, _CAPTION):
                    found = _inside(name)
                    if found:
                        kind, container = found, around
                name, size, named = int64(0), int64(0), True
            elif code == _DOT:
                named = False
            elif named and size < _KEPT_BYTES:
                name, size = name << 8 | code, size + 1
            running = (running ^ code) * _HASH_PRIME
        kinds[row], levels[row], containers[row] = kind, level, container


@compiled
def _inside(name: int) -> int:
    """Kind of the blocks inside an element of lists and tables; 0 for others."""
    if name == _LI:
        return int64(_ITEM)
    if name == _TR:
        return int64(_ROW)
    if name in (_DT, _DD):
        return int64(_DEFINITION)
    return int64(0)


# Declarations.


def _of_paragraphs(batch: Batch) -> Places:
    """Find the place of each paragraph, that of its text node."""
    found, rows = batch.once(places), batch.once(paragraph_nodes).to_numpy()
    of_node = np.cumsum(batch.once(_is_text)) - 1
    return Places(*(column[of_node[rows]] for column in found))


def _column(name: str) -> Column:
    def measure(batch: Batch) -> NDArray[np.int64]:
        return np.asarray(getattr(batch.once(_of_paragraphs), name))

    return Column(name, "text_node", pa.int32(), measure)


def _kinds(batch: Batch) -> pa.Array:
    return pa.array(KINDS).take(pa.array(batch.once(_of_paragraphs).kind))


KIND = Column("kind", "text_node", pa.string(), _kinds)
RUN, SECTION, LEVEL = map(_column, ("run", "section", "level"))
FIGURE = Column("figure", "text_node", pa.int32(), node_field("figure"))  # of a caption; null: none
IMAGE_FIGURE = Column("figure", "image_node", pa.int32(), partial(image_field, "figure"))
# What decisions in context read, besides the signals that rules name.
CONTEXT: dict[Scope, tuple[Column, ...]] = {
    "text_node": (RUN, SECTION, LEVEL, FIGURE),
    "image_node": (IMAGE_FIGURE,),
    "document": (),
}

SIGNALS: tuple[Signal, ...] = (
    stored(
        KIND, f"markup around the text: {', '.join(KINDS)}", OWN, "name", names=True, choices=KINDS
    ),
)
