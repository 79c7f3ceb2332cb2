"""Lexbor's parsed page in memory, read by address from compiled code.

selectolax makes one Python object per node; at a few thousand nodes a page those objects cost more
than the parse. But it also gives each node's address (`mem_id`), so compiled code follows the
pointers instead. The offsets are those of Lexbor's public structures (lexbor/dom/interfaces/node.h,
element.h, attr.h, character_data.h and core/hash.h; selectolax ships them as lexbor.pxd). On
import, `check_layout` compares everything read here with what selectolax itself says about a page,
so that a selectolax with another layout is refused.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import selectolax

from benben.common import hashing
from benben.pipeline.compiled import Bytes, byte_at, called, compiled, int64, word_at
from benben.pipeline.page.dom.prescan import LimitError, Survey, survey


class LayoutError(ImportError):
    """The installed selectolax is not one that this module can read."""

    def __init__(self) -> None:
        super().__init__(
            f"selectolax {selectolax.__version__} lays out parsed pages in another way than this "
            "version of benben reads: install the selectolax of requirements.lock"
        )


try:
    from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser

    _OPTIONS = int(LexborDocumentOptions.WO_EVENTS)
except (ImportError, AttributeError):
    raise LayoutError from None

NAME, NEXT, PARENT_NODE, FIRST_CHILD, TYPE = 8, 40, 56, 64, 88  # of a node
DATA, LENGTH = 96, 104  # of a text
FIRST_ATTRIBUTE = 120  # of an element
VALUE, NEXT_ATTRIBUTE = 112, 128  # of an attribute, which is a node too
VALUE_LENGTH = 8  # of a value, which begins with its address
ENTRY_LENGTH, SHORT_NAME = 24, 16  # of a hash entry: names no longer than this lie in the entry
ELEMENT_NODE, TEXT_NODE = 1, 3
# Numbers of names below this are Lexbor's own; others are addresses of a document's hash entries.
DYNAMIC = 1 << 12
_COLON, _SEMICOLON, _MINUS = b":;-"
_IMPORTANT = np.frombuffer(b"!", np.uint8)
_FAR = 4  # digits of a negative place that no screen shows
_FACTOR = np.uint64(hashing.FACTORS[0])


def parse(
    html: str | bytes, is_piece: bool = False, seen: Survey | None = None
) -> LexborHTMLParser:
    """Parse a page, or a piece of one; addresses of its nodes are valid while the result is held.

    `seen`: what a survey of the page told. Raises LimitError for what would cost the parser out of
    proportion to its bytes.
    """
    page = html.encode("utf-8", "replace") if isinstance(html, str) else html
    limit = (seen or survey(page, is_piece)).limit
    if limit:
        raise LimitError(limit)
    return LexborHTMLParser(page, options=_OPTIONS)


@compiled
def name_of(node: int) -> int:
    """Number of an element's or attribute's name."""
    return word_at(node + NAME)


@compiled
def next_of(node: int) -> int:
    """Address of the next sibling, or 0."""
    return word_at(node + NEXT)


@compiled
def parent_of(node: int) -> int:
    """Address of the parent."""
    return word_at(node + PARENT_NODE)


@compiled
def child_of(node: int) -> int:
    """Address of the first child, or 0."""
    return word_at(node + FIRST_CHILD)


@compiled
def type_of(node: int) -> int:
    """Type of a node, such as TEXT_NODE."""
    return word_at(node + TYPE) & 0xFFFFFFFF


@compiled
def text_of(node: int) -> tuple[int, int]:
    """Address and length of a text node's UTF-8."""
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
    """Address and length of an attribute's value."""
    value = word_at(attribute + VALUE)
    if value == 0:
        return 0, 0
    return word_at(value), word_at(value + VALUE_LENGTH)


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
    return int64(found | np.uint64(1))


@compiled
def quick_hash(address: int, length: int) -> int:
    """Hash that tells a page's values apart, eight bytes at a time; never 0."""
    found = np.uint64(length)
    place = 0
    while place + 8 <= length:
        found = _mix(found, np.uint64(word_at(address + place)))
        place += 8
    rest = np.uint64(0)
    while place < length:
        rest = rest << np.uint64(8) | np.uint64(byte_at(address + place))
        place += 1
    return int64(_mix(found, rest) | np.uint64(1))


@compiled
def _mix(found: np.uint64, word: np.uint64) -> np.uint64:
    """One step of the hash (the multiplier of splitmix64)."""
    found = (found ^ word) * _FACTOR
    return found ^ found >> np.uint64(29)


def hash_name(name: str) -> int:
    """Return what `hash_bytes` gives for a name."""
    data = np.frombuffer(name.encode(), np.uint8)
    return int(hash_bytes(data.ctypes.data, len(data)))


# Words in values.


@compiled
def is_capital(byte: int) -> bool:
    """Tell whether a byte is A to Z."""
    return 65 <= byte <= 90


@compiled
def is_small(byte: int) -> bool:
    """Tell whether a byte is a to z."""
    return 97 <= byte <= 122


@compiled
def lower(byte: int) -> int:
    """Return an ASCII letter in lower case."""
    return byte + 32 if is_capital(byte) else byte


@compiled
def find(address: int, length: int, wanted: Bytes) -> int:
    """Return the position of a word, given in lower case, in text of any case, or -1."""
    for place in range(length - len(wanted) + 1):
        same = True
        for letter in range(len(wanted)):
            if lower(byte_at(address + place + letter)) != wanted[letter]:
                same = False
                break
        if same:
            return place
    return -1


@called
def declared(address: int, length: int, name: Bytes) -> tuple[int, int]:
    """Return address and length of the value that an inline style gives a property; 0, 0 for none.

    The last declaration counts, or the last that is !important (CSS Cascading, 6.1).
    """
    found = size = begin = int64(0)
    important = False
    while begin < length:
        stop = _declaration_end(address, begin, length)
        seek = _after_blanks(address, begin, stop)
        named = find(address + seek, min(len(name), stop - seek), name) == 0
        seek = _after_blanks(address, seek + len(name), stop)
        if named and seek < stop and byte_at(address + seek) == _COLON:
            seek = _after_blanks(address, seek + 1, stop)
            mark = find(address + seek, stop - seek, _IMPORTANT)
            if (mark > 0 or (mark < 0 and seek < stop)) and (mark > 0 or not important):
                found, important = address + seek, mark > 0
                size = mark if important else stop - seek
        begin = stop + 1
    return found, size


@compiled
def _declaration_end(address: int, place: int, length: int) -> int:
    """Return where a declaration of a style ends: at a semicolon outside of brackets."""
    depth = 0
    while place < length:
        byte = byte_at(address + place)
        depth += (byte == 40) - (byte == 41)
        if byte == _SEMICOLON and depth <= 0:
            return place
        place += 1
    return length


@called
def declares(address: int, length: int, name: Bytes, value: Bytes) -> bool:
    """Tell whether an inline style gives a property a value, or one that begins with it."""
    found, size = declared(address, length, name)
    return find(found, min(len(value), size), value) == 0


@called
def moves_away(address: int, length: int, side: Bytes) -> bool:
    """Tell whether a style puts an element out of sight, as in `left: -9999px`."""
    found, size = declared(address, length, side)
    if size == 0 or byte_at(found) != _MINUS:
        return False
    digits = 1
    while digits < size and 48 <= byte_at(found + digits) <= 57:
        digits += 1
    return digits > _FAR


@compiled
def _after_blanks(address: int, place: int, length: int) -> int:
    while place < length and (
        byte_at(address + place) == 32 or 9 <= byte_at(address + place) <= 13
    ):
        place += 1
    return place


# The check of the layout. It reads what compiled code reads, by the same offsets, but in a way that
# survives addresses that are none: with another layout that is what many words are.

# Names that Lexbor does not know, around the length up to which they lie in the hash entry itself.
_NAMES = [f"data-{'x' * (length - 5)}" for length in (7, 8, 15, 16, 17, 24, 40)]
_ATTRIBUTES = {"id": "i", "class": "c", **{name: f"v{len(name)}" for name in _NAMES}}
_TEXT = "Text of more bytes than a word: für"
_PAGE = (
    f"<main><p {' '.join(f'{name}={value}' for name, value in _ATTRIBUTES.items())}>{_TEXT}</p>"
    "<b hidden>t</b></main>"
)


def check_layout() -> None:
    """Compare the offsets with what selectolax says about a page. Raises LayoutError."""
    tree = parse(_PAGE)
    found: list[Any] = [tree.css_first(name) for name in ("main", "p", "b")]
    main, first, second = found
    if not (
        _nodes_agree(main, first, second)
        and _reads(_word(first.first_child.mem_id, DATA), _TEXT)
        and _attributes_agree(first.mem_id, _ATTRIBUTES)
        and _attributes_agree(second.mem_id, {"hidden": ""})
    ):
        raise LayoutError


def _nodes_agree(main: Any, first: Any, second: Any) -> bool:
    """Compare the links between an element, its two children and a text."""
    element, text = first.mem_id, first.first_child.mem_id
    return (
        _word(element, NAME) == first.tag_id
        and _word(element, NEXT) == second.mem_id
        and _word(element, PARENT_NODE) == main.mem_id
        and _word(main.mem_id, FIRST_CHILD) == element
        and _word(element, FIRST_CHILD) == text
        and _word(element, TYPE) & 0xFFFFFFFF == ELEMENT_NODE
        and _word(text, TYPE) & 0xFFFFFFFF == TEXT_NODE
        and _word(text, LENGTH) == len(_TEXT.encode())
    )


def _attributes_agree(element: int, expected: dict[str, str]) -> bool:
    """Compare the names and values of an element's attributes."""
    found = list(_attributes(element, len(expected) + 1))
    return len(found) == len(expected) and all(
        _value_agrees(_word(attribute, VALUE), value)
        and (name not in _NAMES or _name_agrees(_word(attribute, NAME), name))
        for attribute, (name, value) in zip(found, expected.items(), strict=True)
    )


def _attributes(element: int, most: int) -> Iterator[int]:
    attribute = _word(element, FIRST_ATTRIBUTE)
    while attribute and most:
        yield attribute
        attribute = _word(attribute, NEXT_ATTRIBUTE)
        most -= 1


def _value_agrees(value: int, expected: str) -> bool:
    if not value or not expected:
        return not expected
    return _word(value, VALUE_LENGTH) == len(expected) and _reads(_word(value, 0), expected)


def _name_agrees(name: int, expected: str) -> bool:
    if name < DYNAMIC or _word(name, ENTRY_LENGTH) != len(expected):
        return False
    return _reads(name if len(expected) <= SHORT_NAME else _word(name, 0), expected)


def _word(address: int, offset: int) -> int:
    return int.from_bytes(_read(address + offset, 8), sys.byteorder, signed=True)


def _reads(address: int, expected: str) -> bool:
    return _read(address, len(expected.encode())) == expected.encode()


def _read(address: int, size: int) -> bytes:
    """Return the bytes at an address; none where Linux knows that no memory lies there."""
    try:
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(size)
    except (FileNotFoundError, PermissionError):  # not Linux, or hidden there
        return ctypes.string_at(address, size)
    except (OSError, OverflowError):
        return b""


check_layout()
