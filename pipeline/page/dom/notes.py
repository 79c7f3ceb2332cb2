"""Attributes that Python has to read: those of images and of elements that describe the page.

Compiled code writes them to `notes` as parts: an attribute's number, its value and a zero (the HTML
parser lets no NUL through). `read_note` turns the parts of an element into a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benben.pipeline.compiled import Bytes, byte_at, called, compiled, int64
from benben.pipeline.page.dom.columns import (
    BLOCKS,
    CONTENT,
    FACT_START,
    FACT_STOP,
    FACT_TAG,
    FACTS,
    IMAGE_BLOCK,
    IMAGE_PATH_LEVELS,
    IMAGES,
    LEVEL_KIND,
    LEVEL_POSITION,
    LEVEL_TAG,
    NEXT_ELEMENT,
    NOTE_START,
    NOTE_STOP,
    NOTED,
    NOTED_LINK,
    OTHER,
    PARTS,
    PATH_START,
    PATH_STOP,
    Columns,
)
from benben.pipeline.page.dom.elements import (
    BLOCK,
    HREF,
    HTTP_EQUIV,
    ID,
    NAME,
    PROPERTY,
    REL,
    ROWSPAN,
    TYPE,
    Tables,
    number_of,
    tag_id,
    tag_of,
)
from benben.pipeline.page.dom.lexbor import (
    TEXT_NODE,
    attribute_after,
    attribute_of,
    child_of,
    find,
    name_of,
    next_of,
    parent_of,
    text_of,
    type_of,
    value_of,
)

Attributes = dict[str, str]
OTHERS = "*"  # key of an attribute that settings do not name and that holds the path of an image

_A, _SCRIPT, _LINK, _TITLE, _META = (
    tag_id(name) for name in ("a", "script", "link", "title", "meta")
)
_PICTURE, _SOURCE, _IMG = tag_id("picture"), tag_id("source"), tag_id("img")
_DATA = np.frombuffer(b"data:", np.uint8)
_LICENSE = np.frombuffer(b"license", np.uint8)
_JSON = np.frombuffer(b"ld+json", np.uint8)
# Every name that read_facts knows contains one of these: robots and crawlers' own names, TDM,
# og:image, content-language, content-usage, content-signal.
_BOT, _TDM = np.frombuffer(b"bot", np.uint8), np.frombuffer(b"tdm", np.uint8)
_IMAGE = np.frombuffer(b"image", np.uint8)
_CONTENT = np.frombuffer(b"content-", np.uint8)
_EXTENDED = np.frombuffer(b"extended", np.uint8)
_AGENT = np.frombuffer(b"agent", np.uint8)
_SPIDER = np.frombuffer(b"spider", np.uint8)
_DATASET = np.frombuffer(b"dataset", np.uint8)
_BENBEN = np.frombuffer(b"benben", np.uint8)
_CRAWL, _AI = np.frombuffer(b"crawl", np.uint8), np.frombuffer(b"-ai", np.uint8)
_RSL = np.frombuffer(b"rsl+xml", np.uint8)
_SPAN_DIGITS = 4
_ALL_ROWS = 65534  # rowspan=0: all that follow in the group (HTML Standard, 4.9.11)
_SLASH, _DOT, _ZERO, _SPACE = 47, 46, 48, 32
_QUOTES = (34, 39, 60)


def read_note(parts: Sequence[str], names: tuple[str, ...]) -> list[Attributes]:
    """Return the attributes of an element and, for an image in a <picture>, of its sources.

    The key "" holds the element's text, OTHERS the first attribute that may name an image.
    """
    found: Attributes = {}
    elements = [found]
    for part in parts:
        number = ord(part[0])
        if number == NEXT_ELEMENT:
            elements.append(found := {})
        else:
            found.setdefault(OTHERS if number == OTHER else names[number], part[1:])
    return elements


@called
def note_image(
    out: Columns, tables: Tables, node: int, depth: int, position: int, linked: bool
) -> None:
    """Note an image: its attributes, its path below its block, the sources of its <picture>.

    `depth`: levels above it; `linked`: it lies in a link, whose first image notes its address.
    """
    at = out.at
    row = out.images[at[IMAGES]]
    row[IMAGE_BLOCK] = at[BLOCKS]
    row[PATH_START] = row[PATH_STOP] = at[NOTED]
    if position:
        _write_path(out, tables, depth, tag_of(tables, node), position)
        row[PATH_STOP] = at[NOTED]
        _end_part(out)
    row[NOTE_START] = at[PARTS]
    _write_attributes(out, tables, node)
    if linked:
        _write_link(out, tables, node)
    _write_other(out, tables, node)
    around = parent_of(node)
    if name_of(around) == _PICTURE and not _has_image_before(node):
        source = child_of(around)
        while source != node:  # browsers do not ask those behind the image
            if name_of(source) == _SOURCE:
                _write_value(out, NEXT_ELEMENT, 0, 0)
                _write_attributes(out, tables, source)
            source = next_of(source)
    row[NOTE_STOP] = at[PARTS]
    at[IMAGES] += 1


@compiled
def _has_image_before(node: int) -> bool:
    """Tell whether an earlier image of the same <picture> already has its sources."""
    before = child_of(parent_of(node))
    while before != node:
        if name_of(before) == _IMG:
            return True
        before = next_of(before)
    return False


@called
def note_fact(out: Columns, tables: Tables, node: int, tag: int) -> None:
    """Note an element that may say something about the page; most say nothing."""
    if tag == _SCRIPT and not (says(tables, node, TYPE, _JSON) or says(tables, node, TYPE, _RSL)):
        return
    if tag == _LINK and not says(tables, node, REL, _LICENSE):
        return
    if tag == _META and not _is_relevant(tables, node):
        return
    at = out.at
    row = out.facts[at[FACTS]]
    row[FACT_TAG], row[FACT_START] = tag, at[PARTS]
    _write_attributes(out, tables, node)
    if tag in (_SCRIPT, _TITLE):
        inside = child_of(node)
        if inside and type_of(inside) == TEXT_NODE:
            address, length = text_of(inside)
            _write_value(out, CONTENT, address, length)
    row[FACT_STOP] = at[PARTS]
    at[FACTS] += 1


@called
def _is_relevant(tables: Tables, element: int) -> bool:
    """Tell whether a <meta> may be one that read_facts reads."""
    attribute = attribute_of(element)
    while attribute:
        number = number_of(tables, attribute)
        if number in (NAME, PROPERTY, HTTP_EQUIV):
            address, length = value_of(attribute)
            if (
                find(address, length, _BOT) >= 0
                or find(address, length, _TDM) >= 0
                or find(address, length, _IMAGE) >= 0
                or find(address, length, _CONTENT) >= 0
                or find(address, length, _EXTENDED) >= 0
                or find(address, length, _AGENT) >= 0
                or find(address, length, _SPIDER) >= 0
                or find(address, length, _DATASET) >= 0
                or find(address, length, _BENBEN) >= 0
                or find(address, length, _CRAWL) >= 0
                or find(address, length, _AI) >= 0
            ):
                return True
        attribute = attribute_after(attribute)
    return False


@compiled
def says(tables: Tables, element: int, wanted: int, word: Bytes) -> bool:
    """Tell whether the attribute of a number contains a word."""
    attribute = attribute_of(element)
    while attribute:
        if number_of(tables, attribute) == wanted:
            address, length = value_of(attribute)
            return find(address, length, word) >= 0
        attribute = attribute_after(attribute)
    return False


@called
def span_of(tables: Tables, cell: int, wanted: int) -> int:
    """Return how many columns or rows a cell of a table spans, by the attribute of a number."""
    attribute = attribute_of(cell)
    while attribute:
        if number_of(tables, attribute) == wanted:
            address, length = value_of(attribute)
            span, given = int64(0), False
            for place in range(min(length, _SPAN_DIGITS)):
                byte = int64(byte_at(address + place))
                if not 48 <= byte <= 57:
                    break
                span, given = 10 * span + byte - 48, True
            if given and span == 0 and wanted == ROWSPAN:
                return _ALL_ROWS
            return max(int64(1), span)
        attribute = attribute_after(attribute)
    return int64(1)


@called
def _write_attributes(out: Columns, tables: Tables, element: int) -> None:
    attribute = attribute_of(element)
    while attribute:
        number = number_of(tables, attribute)
        if number > ID:
            address, length = value_of(attribute)
            # Images inlined as data: URLs are of no use, and long.
            if not (tables.addresses[number] and find(address, min(length, 5), _DATA) == 0):
                _write_value(out, number, address, length)
        attribute = attribute_after(attribute)


@called
def _write_link(out: Columns, tables: Tables, image: int) -> None:
    """Write the address of the link around an image, unless an image before it has it."""
    link = parent_of(image)
    while link and name_of(link) != _A:
        link = parent_of(link)
    if link == 0 or link == out.at[NOTED_LINK]:
        return
    out.at[NOTED_LINK] = link
    attribute = attribute_of(link)
    while attribute:
        if number_of(tables, attribute) == HREF:
            address, length = value_of(attribute)
            _write_value(out, HREF, address, length)
        attribute = attribute_after(attribute)


@called
def _write_other(out: Columns, tables: Tables, image: int) -> None:
    """Write the first attribute that settings do not name and that may hold an image's path."""
    attribute = attribute_of(image)
    while attribute:
        if number_of(tables, attribute) == 0:
            address, length = value_of(attribute)
            if _has_path(address, length):
                _write_value(out, OTHER, address, length)
                return
        attribute = attribute_after(attribute)


@compiled
def _has_path(address: int, length: int) -> bool:
    """Tell whether a value has a slash, behind it a dot, and neither blanks nor quotes."""
    slash = dot = False
    for place in range(length):
        byte = byte_at(address + place)
        if byte <= _SPACE or byte in _QUOTES:
            return False
        dot = (dot or byte == _DOT) and byte != _SLASH
        slash = slash or byte == _SLASH
    return slash and dot


@compiled
def _write_value(out: Columns, number: int, address: int, length: int) -> None:
    notes, end = out.notes, out.at[NOTED]
    notes[end] = number
    end += 1
    for place in range(length):
        notes[end + place] = byte_at(address + place)
    out.at[NOTED] = end + length
    _end_part(out)


@compiled
def _end_part(out: Columns) -> None:
    out.notes[out.at[NOTED]] = 0
    out.at[NOTED] += 1
    out.at[PARTS] += 1


@called
def _write_path(out: Columns, tables: Tables, depth: int, tag: int, position: int) -> None:
    """Write the path of an image from its block element, such as "a.1/img.2"."""
    first = depth
    while first > 0 and out.levels[first - 1, LEVEL_KIND] != BLOCK:
        first -= 1
    for number in range(max(first, depth - IMAGE_PATH_LEVELS), depth):
        level = out.levels[number]
        end = write_step(out.notes, out.at[NOTED], tables, level[LEVEL_TAG], level[LEVEL_POSITION])
        out.notes[end] = _SLASH
        out.at[NOTED] = end + 1
    out.at[NOTED] = write_step(out.notes, out.at[NOTED], tables, tag, position)


@compiled
def write_step(into: Bytes, end: int, tables: Tables, tag: int, position: int) -> int:
    """Write one step of a path, such as "p.3" (tag and position); return where it ends."""
    for place in range(tables.name_ends[tag], tables.name_ends[tag + 1]):
        into[end] = tables.names[place]
        end += 1
    into[end] = _DOT
    end += 1
    scale = 1
    while scale * 10 <= position:
        scale *= 10
    while scale:
        into[end] = _ZERO + position // scale % 10
        end += 1
        scale //= 10
    return end
