"""All text of a batch as one array of code points, cut into documents, nodes and paragraphs.

A paragraph is what OBELICS filters: a stretch of a text node between blank lines. Working on one
array a batch keeps every signal a handful of numpy passes, whatever the number of paragraphs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benben.filters.signals import scan
from benben.filters.signals.characters import Characters

Integers = NDArray[np.int64]
BLANK_LINE = re.compile("\n{2,}")
_BASE = np.uint64(0xD6E8FEB86659FD93)  # odd, so it has an inverse modulo 2**64
_INVERSE = pow(int(_BASE), -1, 1 << 64)


@dataclass(slots=True)
class Paragraphs:
    """Text of a batch; `starts` and `ends` are positions in `codes`, one pair a paragraph."""

    text: str
    codes: NDArray[np.uint32]
    classes: NDArray[np.uint16]
    hashes: NDArray[np.uint64]  # running sums: see `window_hashes`
    starts: Integers
    ends: Integers
    document: Integers  # row of the paragraph's document
    node: Integers  # the node's position in its document's list of nodes
    number: Integers  # of the paragraph in its node, from 0
    documents: int

    def __len__(self) -> int:
        return len(self.starts)

    def count(self, mask: NDArray[np.bool_]) -> Integers:
        """Number of characters under a mask, for each paragraph."""
        return self.between(mask, self.starts, self.ends)

    def between(self, mask: NDArray[np.bool_], starts: Integers, ends: Integers) -> Integers:
        """Number of characters under a mask, for each stretch."""
        running = np.zeros(len(mask) + 1, np.int32)
        np.cumsum(mask, dtype=np.int32, out=running[1:])
        return (running[ends] - running[starts]).astype(np.int64)

    def window_hashes(self, starts: Integers, ends: Integers) -> NDArray[np.uint64]:
        """64-bit polynomial hashes of the lower-case characters of each stretch."""
        sums = self.hashes[ends] - self.hashes[starts]
        return sums * self.powers()[starts]

    def powers(self) -> NDArray[np.uint64]:
        """What makes the hash of a stretch, a difference of running sums, forget its start."""
        return _powers(len(self.codes))

    def of_document(self, values: NDArray[np.generic]) -> Integers:
        """Sum a number of each paragraph over its document."""
        sums = np.bincount(self.document, weights=values, minlength=self.documents)
        return np.asarray(np.rint(sums), np.int64)


_inverse_powers = np.ones(1, np.uint64)


def _powers(size: int) -> NDArray[np.uint64]:
    """Powers of _INVERSE from 0 to a size, or further."""
    global _inverse_powers
    if len(_inverse_powers) < size + 1:
        factors = np.full(max(size + 1, 1 << 16), _INVERSE, np.uint64)
        factors[0] = 1
        _inverse_powers = np.cumprod(factors)
    return _inverse_powers


def from_batch(documents: pa.RecordBatch, tables: Characters) -> Paragraphs:
    """Lay out the text nodes of a batch of DOCUMENTS."""
    nodes = documents.column("nodes")
    flat = nodes.flatten()
    parents = pc.list_parent_indices(nodes).to_numpy(zero_copy_only=False)
    is_text = pc.fill_null(pc.equal(flat.field("kind"), "text"), False)
    where = np.flatnonzero(is_text.to_numpy(zero_copy_only=False))
    texts = [
        text if text and text[0] != "\n" != text[-1] and not text.isspace() else _trim(text)
        for text in flat.field("text").take(pa.array(where)).to_pylist()
    ]
    first_node = np.searchsorted(parents, np.arange(documents.num_rows))
    document = parents[where].astype(np.int64)
    return lay_out(texts, document, where - first_node[document], documents.num_rows, tables)


def lay_out(
    texts: list[str], document: Integers, node: Integers, documents: int, tables: Characters
) -> Paragraphs:
    """Join texts (of the given documents and nodes, in order) and cut them into paragraphs."""
    text = "\n\n".join(texts)
    codes = _code_points(text)
    classes, hashes = np.empty(len(codes), np.uint16), np.empty(len(codes) + 1, np.uint64)
    scan.look_up(codes, tables.classes, tables.mixed, _BASE, classes, hashes)
    starts, ends = _cut(classes)
    lengths = np.array([len(one) for one in texts], np.int64)
    text_starts = np.cumsum(lengths + 2) - lengths - 2
    owner = np.searchsorted(text_starts, starts, "right") - 1
    first = np.searchsorted(owner, np.arange(len(texts)))
    return Paragraphs(
        text=text,
        codes=codes,
        classes=classes,
        hashes=hashes,
        starts=starts,
        ends=ends,
        document=document[owner],
        node=node[owner],
        number=np.arange(len(starts)) - first[owner],
        documents=documents,
    )


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _cut(classes: NDArray[np.uint16]) -> tuple[Integers, Integers]:
    """Starts and ends of the stretches between runs of two or more newlines."""
    starts, ends = (
        np.empty(len(classes) // 3 + 1, np.int64),
        np.empty(len(classes) // 3 + 1, np.int64),
    )
    number = scan.cut(classes, starts, ends)
    return starts[:number], ends[:number]


def split(text: str) -> list[str]:
    """A node's paragraphs, exactly as they are measured."""
    return BLANK_LINE.split(_trim(text))


def _trim(text: str | None) -> str:
    """Without newlines at the ends, which would join the neighbour's; blank text is one space."""
    return text.strip("\n") if text and not text.isspace() else " "
