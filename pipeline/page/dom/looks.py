"""Looks ahead of the walk: at the page, and at an element as a whole before its parts are taken.

How much a page can hold, what a dropped element holds, whether an unknown one is a block, line
numbers, quotation marks, raised digits, marks of notes. The walk may look at a bounded number of
nodes in all (LOOKS), since elements that are each looked through may lie inside each other.
"""

from __future__ import annotations

import numpy as np

from benben.pipeline.characters import WHITE
from benben.pipeline.compiled import Bytes, byte_at, called, compiled, int64
from benben.pipeline.hash_tables import look_up
from benben.pipeline.page.dom.columns import (
    LOOKS,
    PENDING,
    PIECE,
    PROSE,
    QUOTED,
    SCRATCH,
    TITLES,
    WRITTEN,
    Columns,
    Sizes,
    decode,
    write_text,
)
from benben.pipeline.page.dom.elements import (
    BLOCK,
    CLASS,
    CODE_LINE,
    CONTAINER,
    DROP,
    HREF,
    IMAGE,
    INLINE,
    LANG,
    LINK,
    PRE,
    QUOTE,
    RAISED,
    XML_LANG,
    Tables,
    number_of,
    tag_id,
    tag_of,
    value_flags,
)
from benben.pipeline.page.dom.lexbor import (
    ELEMENT_NODE,
    TEXT_NODE,
    attribute_after,
    attribute_of,
    child_of,
    find,
    lower,
    name_of,
    next_of,
    parent_of,
    text_of,
    type_of,
    value_of,
)
from benben.pipeline.page.dom.notes import says
from benben.pipeline.references import address_of

_A, _H1, _IMG, _MATH, _SCRIPT = (tag_id(name) for name in ("a", "h1", "img", "math", "script"))
_TABLE, _TD, _TH = (tag_id(name) for name in ("table", "td", "th"))
# In attributes of images and scripts that may be formulas.
_LATEX, _MATH_WORD, _TEX_FIELD, _TEX, _MATH_TYPE = (
    np.frombuffer(word, np.uint8) for word in (b"latex", b"math", b"tex=", b"tex", b"math/")
)
_OVERHEAD = 2  # bytes that noting a value takes besides the value
_QUOTATION_MARKS = (
    0x22, 0x27, 0xAB, 0xBB, 0x2018, 0x201A, 0x201C, 0x201D, 0x201E, 0x2039, 0x203A, 0x300C, 0x300E,
)  # fmt: skip
_HYPHEN, _UNDERSCORE = b"-_"
_LONGEST_LANGUAGE = 35  # bytes (RFC 5646, 4.4.1)
_SEED, _PRIME = 0xCBF29CE484222325, 0x100000001B3  # of hash_bytes
_MINUS = 0x2212
# # § ¶ ↑ ∞ ⚓ ⛓, and emoji
_PERMALINKS = (0x23, 0xA7, 0xB6, 0x2191, 0x221E, 0x2693, 0x26D3, 0xFFFF)
_BRACKETS = (9, 10, 13, 32, 40, 41, 91, 93)
_CELLS_LOOKED_AT = 40  # at the start of a table
_LINES_LOOKED_AT = 3
_FRAGMENT = np.frombuffer(b"#", np.uint8)
_NOTE_BYTES = 5  # of the mark of a note without brackets


@compiled
def measure(root: int, tables: Tables) -> Sizes:
    """Count what the walk may find below a node."""
    elements = texts = images = text_bytes = attribute_bytes = depth = deepest = 0
    marks = formulas = prose = titles = link = title = 0
    node = child_of(root)
    while node:
        inside = 0
        if type_of(node) == TEXT_NODE:
            texts += 1
            size = text_of(node)[1]
            text_bytes += size
            if (link == 0 or title) and not is_blank(node):
                prose += size if link == 0 else 0
                titles, title = titles + (title > 0), 0
        elif type_of(node) == ELEMENT_NODE:
            tag = tag_of(tables, node)
            kind = tables.kinds[tag]
            elements += 1
            images += kind == IMAGE
            marks += kind in (QUOTE, RAISED)
            if kind != DROP or tables.keeps:
                attribute_bytes += _attribute_bytes(node)
                inside = child_of(node)
            formulas += tag in (_MATH, CONTAINER) or (
                tag in (_IMG, _SCRIPT) and _is_formula(node, tag)
            )
        if inside:
            if tag == _A and link == 0:
                link = depth + 1
            elif tag == _H1:
                title = depth + 1
            node = inside
            depth += 1
            deepest = max(deepest, depth)
            continue
        while node != root and next_of(node) == 0:
            node = parent_of(node)
            link = 0 if depth == link else link
            title = 0 if depth == title else title
            depth -= 1
        node = 0 if node == root else next_of(node)
    return Sizes(
        elements,
        texts,
        images,
        text_bytes,
        attribute_bytes,
        deepest,
        marks,
        formulas,
        prose,
        titles,
    )


@compiled
def is_blank(text: int) -> bool:
    """Tell whether a text node is white space of ASCII."""
    address, length = text_of(text)
    place = 0
    while place < length and (
        byte_at(address + place) == 32 or 9 <= byte_at(address + place) <= 13
    ):
        place += 1
    return place == length


@called
def _is_formula(element: int, tag: int) -> bool:
    """Tell whether an image or a script may be a formula."""
    attribute = attribute_of(element)
    while attribute:
        address, length = value_of(attribute)
        if tag == _SCRIPT:
            if find(address, min(length, 5), _MATH_TYPE) == 0:
                return True
        elif (
            find(address, length, _LATEX) >= 0
            or find(address, length, _MATH_WORD) >= 0
            or find(address, length, _TEX_FIELD) >= 0
            or (length == 3 and find(address, length, _TEX) == 0)
        ):
            return True
        attribute = attribute_after(attribute)
    return False


@compiled
def _attribute_bytes(element: int) -> int:
    total = 0
    attribute = attribute_of(element)
    while attribute:
        total += value_of(attribute)[1] + _OVERHEAD
        attribute = attribute_after(attribute)
    return total


@called
def holds_page(out: Columns, tables: Tables, node: int) -> bool:
    """Tell whether an element holds all of the page's <h1>, or most of its text outside links.

    Such an element is no frame around the page, whatever its name says: an unclosed <nav>, a
    <div id=header> around everything.
    """
    at = out.at
    if at[LOOKS] <= 0:
        return False
    sizes = measure(node, tables)
    at[LOOKS] -= sizes.elements + sizes.texts
    return bool(0 < at[TITLES] == sizes.titles or 2 * sizes.prose > at[PROSE])


@called
def holds_block(out: Columns, tables: Tables, root: int) -> bool:
    """Tell whether an element holds a block, as far as the walk may look."""
    node = child_of(root)
    while node and out.at[LOOKS] > 0:
        out.at[LOOKS] -= 1
        inside = 0
        if type_of(node) == ELEMENT_NODE:
            kind = tables.kinds[tag_of(tables, node)]
            if kind == BLOCK:
                return True
            inside = child_of(node) if kind != DROP else 0
        node = inside or _after(node, root)
    return False


@compiled
def _after(node: int, root: int) -> int:
    """Return the node behind a node and all inside it, below a root; 0 for none."""
    while node != root and next_of(node) == 0:
        node = parent_of(node)
    return 0 if node == root else next_of(node)


@called
def holds_code(out: Columns, tables: Tables, node: int, tag: int) -> bool:
    """Tell whether a table or <div> is a block of code without <pre>.

    Of a table a cell near its start says so, of a <div> its first elements, which are lines.
    """
    lines = seen = int64(0)
    inside = child_of(node)
    while inside and seen < _CELLS_LOOKED_AT and out.at[LOOKS] > 0:
        seen += 1
        out.at[LOOKS] -= 1
        deeper = int64(0)
        if type_of(inside) == ELEMENT_NODE:
            name = tag_of(tables, inside)
            if tag != _TABLE:
                if not _is_code(out, tables, inside, CODE_LINE) or holds_block(out, tables, inside):
                    return False
                lines += 1
                if lines == _LINES_LOOKED_AT:
                    return True
            elif name in (_TD, _TH):
                if _is_code(out, tables, inside, PRE):
                    return True
            else:
                deeper = child_of(inside)
        inside = deeper or (_after(inside, node) if tag == _TABLE else next_of(inside))
    return bool(lines > 0)


@compiled
def _is_code(out: Columns, tables: Tables, node: int, wanted: int) -> bool:
    """Tell whether the class of an element gives it a flag of code."""
    attribute = attribute_of(node)
    while attribute:
        if number_of(tables, attribute) == CLASS:
            address, length = value_of(attribute)
            return value_flags(tables, out.memo, address, length) & wanted != 0
        attribute = attribute_after(attribute)
    return False


@called
def is_gutter(out: Columns, node: int) -> bool:
    """Tell whether a cell in code holds the number of the line: the first of several cells."""
    behind, first = next_of(node), child_of(parent_of(node))
    while behind and type_of(behind) != ELEMENT_NODE:
        behind = next_of(behind)
    while first and type_of(first) != ELEMENT_NODE:
        first = next_of(first)
    return behind > 0 and first == node and is_number(out, node)


# Short texts that are read before they are taken.


@compiled
def _gather(out: Columns, tables: Tables, root: int) -> int:
    """Copy the text of an element to `scratch`; return its length, -1 if it does not fit.

    An element that holds more than inline elements has no length either.
    """
    size = int64(0)
    node = child_of(root)
    while node:
        inside = 0
        if type_of(node) == TEXT_NODE:
            address, length = text_of(node)
            if size + length > SCRATCH:
                return -1
            for place in range(length):
                out.scratch[size + place] = byte_at(address + place)
            size += length
        elif type_of(node) == ELEMENT_NODE:
            out.at[LOOKS] -= 1
            if tables.kinds[tag_of(tables, node)] > LINK or out.at[LOOKS] < 0:
                return -1
            inside = child_of(node)
        node = inside or _after(node, root)
    return size


@called
def is_number(out: Columns, root: int) -> bool:
    """Tell whether the text of an element is digits and white space, and there are digits."""
    digits = False
    node = child_of(root)
    while node:
        out.at[LOOKS] -= 1
        if out.at[LOOKS] < 0:
            return False
        if type_of(node) == TEXT_NODE:
            address, length = text_of(node)
            for place in range(length):
                byte = byte_at(address + place)
                if 48 <= byte <= 57:
                    digits = True
                elif byte != 32 and not 9 <= byte <= 13:
                    return False
        node = child_of(node) or _after(node, root)
    return digits


@called
def is_short(out: Columns, tables: Tables, root: int) -> bool:
    """Tell whether an element holds a few words and nothing but inline elements."""
    return _gather(out, tables, root) >= 0


@called
def is_permalink(out: Columns, tables: Tables, link: int) -> bool:
    """Tell whether a link into the page stands for the place it is at.

    Its text is one sign, or a word such as "link" beside other text; either may be in brackets.
    """
    stop, start, scratch = _gather(out, tables, link), int64(0), out.scratch
    while start < stop and scratch[start] in _BRACKETS:
        start += 1
    while start < stop and scratch[stop - 1] in _BRACKETS:
        stop -= 1
    if stop - start > 3 and scratch[stop - 3] == 0xEF and scratch[stop - 2] == 0xB8:
        stop -= 3  # U+FE0E or U+FE0F, which say how a sign is drawn
    if stop <= start or not says(tables, link, HREF, _FRAGMENT):
        return False
    code, step = decode(address_of(scratch) + start, address_of(scratch) + stop)
    if step == stop - start:
        return code in _PERMALINKS
    found = np.uint64(_SEED)
    for place in range(start, stop):
        found = (found ^ np.uint64(lower(int64(scratch[place])))) * np.uint64(_PRIME)
    alone = child_of(parent_of(link)) == link and next_of(link) == 0
    return not alone and look_up(tables.permalinks, int64(found | np.uint64(1))) > 0


@called
def is_quoted(out: Columns, tables: Tables, root: int) -> bool:
    """Tell whether the text of a <q> begins with a quotation mark of its own."""
    node = child_of(root)
    while node and out.at[LOOKS] > 0:
        out.at[LOOKS] -= 1
        if type_of(node) == TEXT_NODE and not is_blank(node):
            address, length = text_of(node)
            stop = address + length
            while tables.classes[decode(address, stop)[0]] & WHITE:
                address += decode(address, stop)[1]
            return decode(address, stop)[0] in _QUOTATION_MARKS
        node = child_of(node) or _after(node, root)
    return False


@called
def quote(
    out: Columns, tables: Tables, node: int, element: int, linked: bool, closing: int
) -> None:
    """Write a quotation mark of the language around; quotes in quotes have the inner marks."""
    out.at[QUOTED] -= closing
    marks = tables.quotes[_language_row(out, tables, node)]
    end = _encode(out.scratch, int64(0), marks[min(out.at[QUOTED], int64(1)) * 2 + closing])
    _write(out, tables, address_of(out.scratch), end, element, linked)
    out.at[QUOTED] += 1 - closing


@compiled
def _language_row(out: Columns, tables: Tables, node: int) -> int:
    """Return the row of quotation marks by the nearest `lang` at an element or around it."""
    while node and type_of(node) == ELEMENT_NODE and out.at[LOOKS] > 0:
        out.at[LOOKS] -= 1
        attribute = attribute_of(node)
        while attribute:
            if number_of(tables, attribute) in (LANG, XML_LANG):
                address, length = value_of(attribute)
                return _read_language(tables, address, length)
            attribute = attribute_after(attribute)
        node = parent_of(node)
    return int64(0)


@compiled
def _read_language(tables: Tables, address: int, length: int) -> int:
    """Look up a language: of de-AT-1996 and what it begins with, the longest that is known."""
    row, found = int64(0), np.uint64(_SEED)
    for place in range(min(length, _LONGEST_LANGUAGE) + 1):
        byte = lower(int64(byte_at(address + place))) if place < length else _HYPHEN
        byte = int64(_HYPHEN if byte == _UNDERSCORE else byte)
        if byte == _HYPHEN:
            row = look_up(tables.languages, int64(found | np.uint64(1))) or row
        found = (found ^ np.uint64(byte)) * np.uint64(_PRIME)
    return row


@called
def raise_text(
    out: Columns, tables: Tables, node: int, above: bool, element: int, linked: bool
) -> int:
    """Write digits above or below the line, so that they do not run into those before them.

    10<sup>6</sup> becomes 10⁶. Letters stay as they are: 1<sup>st</sup> is 1st. Return how the walk
    goes on: DROP if the text is written, or is the mark of a note.
    """
    at, scratch = out.at, out.scratch
    size = _gather(out, tables, node)
    if size <= 0:
        return INLINE
    if above and _is_note(out, tables, node, size):
        return DROP if tables.drop_notes else INLINE
    if at[PENDING] or at[WRITTEN] == at[PIECE]:
        return INLINE
    written, place, digits, mapped = SCRATCH, int64(0), False, True
    start = address_of(scratch)
    while place < size:
        code, step = decode(start + place, start + size)
        place += step
        form = int64(tables.raised[code if code < 128 else 0, int64(above)])
        if code == _MINUS:
            form = int64(tables.raised[45, int64(above)])
        digits = digits or 48 <= code <= 57
        mapped = mapped and form > 0
        if mapped:
            written = _encode(scratch, written, form)
    if mapped:
        _write(out, tables, start + SCRATCH, written - SCRATCH, element, linked)
        return DROP
    if digits and scratch[0] != 91:  # a bracket
        scratch[SCRATCH] = 94 if above else 95  # ^ or _
        _write(out, tables, start + SCRATCH, 1, element, linked)
    return INLINE


@compiled
def _encode(into: Bytes, end: int, code: int) -> int:
    """Append a character of two or three bytes of UTF-8; return where it ends."""
    if code < 0x800:
        into[end], into[end + 1] = 0xC0 | code >> 6, 0x80 | code & 0x3F
        return end + 2
    into[end], into[end + 1] = 0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F
    into[end + 2] = 0x80 | code & 0x3F
    return end + 3


@compiled
def _is_note(out: Columns, tables: Tables, node: int, size: int) -> bool:
    """Tell whether a <sup>, whose text lies in `scratch`, is the mark of a note.

    It is if it holds or fills a link into the page or is a number in brackets.
    """
    bracketed = out.scratch[0] == 91 and out.scratch[size - 1] == 93
    if bracketed and size > 2 and 48 <= out.scratch[size - 2] <= 57:
        return True
    around = parent_of(node)
    link = around if child_of(around) == node and next_of(node) == 0 else int64(0)
    inside = child_of(node)
    while inside and not link:
        link = inside if type_of(inside) == ELEMENT_NODE else int64(0)
        inside = next_of(inside)
    if link == 0 or name_of(link) != _A or (size > _NOTE_BYTES and not bracketed):
        return False
    return says(tables, link, HREF, _FRAGMENT)


@called
def replace(out: Columns, tables: Tables, node: int, element: int, linked: bool) -> None:
    """Write the text that stands for an element."""
    number = look_up(out.replaced, node)
    start, end = out.other_ends[number - 1], out.other_ends[number]
    _write(out, tables, address_of(out.others) + start, end - start, element, linked)


@called
def _write(
    out: Columns, tables: Tables, address: int, length: int, element: int, linked: bool
) -> None:
    """Append a short text."""
    write_text(out, tables, address, length, element, linked)
