"""Lexbor's parsed page in memory: how compiled code walks it.

selectolax gives each node's address (`mem_id`) and a Python object a node; at a few thousand nodes
a page those objects cost more than the parse. Compiled code follows the addresses instead. Offsets
are those of Lexbor's public structures (lexbor/dom/interfaces/node.h, element.h, attr.h,
character_data.h and core/hash.h; selectolax ships them as lexbor.pxd). `check_layout` compares them
with what selectolax itself says about a page before any other page is read.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
from selectolax import __version__
from selectolax.lexbor import LexborHTMLParser

from benben.pipeline.compiled import byte_at, compiled, word_at

NAME, NEXT, PARENT_NODE, FIRST_CHILD, TYPE = 8, 40, 56, 64, 88  # of a node
DATA, LENGTH = 96, 104  # of a text
FIRST_ATTRIBUTE = 120  # of an element
VALUE, NEXT_ATTRIBUTE = 112, 128  # of an attribute, which is a node too
ENTRY_LENGTH, SHORT_NAME = 24, 16  # of a hash entry: names no longer than this lie in the entry
ELEMENT_NODE, TEXT_NODE = 1, 3
# Numbers of names below this are Lexbor's own; others are addresses of a document's hash entries.
DYNAMIC = 1 << 12


@compiled
def name_of(node: int) -> int:
    """Number of an element's or attribute's name."""
    return word_at(node + NAME)


@compiled
def next_of(node: int) -> int:
    """Address of the node behind, or 0."""
    return word_at(node + NEXT)


@compiled
def parent_of(node: int) -> int:
    """Address of the node around."""
    return word_at(node + PARENT_NODE)


@compiled
def child_of(node: int) -> int:
    """Address of the first node inside, or 0."""
    return word_at(node + FIRST_CHILD)


@compiled
def type_of(node: int) -> int:
    """Kind of a node, such as TEXT_NODE."""
    return word_at(node + TYPE) & 0xFFFFFFFF


@compiled
def text_of(node: int) -> tuple[int, int]:
    """Address and bytes of a text node's UTF-8."""
    return word_at(node + DATA), word_at(node + LENGTH)


@compiled
def attribute_of(element: int) -> int:
    """Address of an element's first attribute, or 0."""
    return word_at(element + FIRST_ATTRIBUTE)


@compiled
def attribute_after(attribute: int) -> int:
    """Address of the next attribute, or 0."""
    return word_at(attribute + NEXT_ATTRIBUTE)


@compiled
def value_of(attribute: int) -> tuple[int, int]:
    """Address and bytes of an attribute's value."""
    value = word_at(attribute + VALUE)
    if value == 0:
        return 0, 0
    return word_at(value), word_at(value + 8)


@compiled
def name_hash(name: int) -> int:
    """Hash of a name that Lexbor has no number for."""
    length = word_at(name + ENTRY_LENGTH)
    return hash_bytes(name if length <= SHORT_NAME else word_at(name), length)


@compiled
def hash_bytes(address: int, length: int) -> int:
    """FNV-1a of some bytes, never 0 (Fowler, Noll, Vo)."""
    found = np.uint64(0xCBF29CE484222325)
    for place in range(length):
        found = (found ^ np.uint64(byte_at(address + place))) * np.uint64(0x100000001B3)
    return np.int64(found | np.uint64(1))


@compiled
def quick_hash(address: int, length: int) -> int:
    """A hash that tells a page's values apart, eight bytes at a step; never 0."""
    found = np.uint64(length)
    place = 0
    while place + 8 <= length:
        found = _mix(found, np.uint64(word_at(address + place)))
        place += 8
    rest = np.uint64(0)
    while place < length:
        rest = rest << np.uint64(8) | np.uint64(byte_at(address + place))
        place += 1
    return np.int64(_mix(found, rest) | np.uint64(1))


@compiled
def _mix(found: np.uint64, word: np.uint64) -> np.uint64:
    """One step of the hash (the multiplier of splitmix64)."""
    found = (found ^ word) * np.uint64(0xBF58476D1CE4E5B9)
    return found ^ found >> np.uint64(29)


def hash_name(name: str) -> int:
    """What `hash_bytes` gives for a name."""
    data = np.frombuffer(name.encode(), np.uint8)
    return int(hash_bytes(data.ctypes.data, len(data)))


_PROBE = "<main><p id=i class=c data-odd-name=v{long}=w>text</p><b hidden>t</b></main>"
_LONG = "data-name-too-long-for-an-entry"


class LayoutError(ImportError):
    """selectolax was built with a Lexbor that lays its nodes out in another way."""


def _words(node: Any, count: int) -> npt.NDArray[np.int64]:
    return np.frombuffer(ctypes.string_at(node.mem_id, 8 * count), np.int64)


def check_layout() -> None:
    """Compare the offsets with what selectolax says about a page. Raises LayoutError."""
    tree = LexborHTMLParser(_PROBE.format(long=f" {_LONG}"))
    found: list[Any] = [tree.css_first(name) for name in ("main", "p", "b")]
    around, first, second = found
    text = first.first_child
    element, words = _words(first, 14), _words(text, 14)
    good = (
        element[NAME // 8] == first.tag_id
        and element[NEXT // 8] == second.mem_id
        and element[PARENT_NODE // 8] == around.mem_id
        and element[FIRST_CHILD // 8] == text.mem_id
        and element[TYPE // 8] & 0xFFFFFFFF == ELEMENT_NODE
        and words[TYPE // 8] & 0xFFFFFFFF == TEXT_NODE
        and words[LENGTH // 8] == len(text.text_content)
        and _attributes(first.mem_id) == ["i", "c", "v", "w"]
        and _attributes(second.mem_id) == [""]
    )
    if not good:
        raise LayoutError(
            f"selectolax {__version__} lays out parsed pages in another way than this version of "
            "benben reads: install the selectolax of requirements.lock"
        )


def _attributes(element: int) -> list[str]:
    values = []
    attribute = attribute_of(element)
    while attribute:
        address, length = value_of(attribute)
        values.append(ctypes.string_at(address, length).decode() if length else "")
        attribute = attribute_after(attribute)
    return values


check_layout()
