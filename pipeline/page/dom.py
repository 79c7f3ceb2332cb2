"""What each element means for the walk: settings turned into tables for compiled code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from selectolax.lexbor import LexborHTMLParser

from benben.pipeline.compiled import borrowed, compiled
from benben.pipeline.page import content_words
from benben.pipeline.page.characters import CLASSES
from benben.pipeline.page.lexbor import (
    DYNAMIC,
    attribute_after,
    attribute_of,
    hash_name,
    name_of,
)
from benben.pipeline.settings.extract import ExtractSettings

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

# What the walk does at an element. Inline elements and links are unwrapped; blocks break the text.
INLINE, LINK, BLOCK, BREAK, IMAGE, FACT, DROP = range(7)

# Strength of the break between two texts, as OBELICS's separators "", " ", "\n", "\n\n".
NO_GAP, SPACE, LINE, PARAGRAPH = range(4)
SEPARATORS = ("", " ", "\n", "\n\n")

# Flags of an element, inherited by everything inside: what the walk needs ...
PRE, NOSCRIPT, FIGURE, CAPTION, HIDDEN = (1 << bit for bit in range(5))
# ... and the kinds of element around, for the content score.
AROUND = {
    "article": ("article",), "main": ("main",), "header": ("header", "hgroup"),
    "aside": ("aside",), "form": ("form", "fieldset"), "list": ("ul", "ol", "dl"),
    "table": ("table",), "section": ("section",), "quote": ("blockquote",),
    "details": ("details",), "center": ("center",),
}  # fmt: skip
FIRST_AROUND = 5
INHERITED = (1 << content_words.FIRST_BIT) - 1
# Then the groups of words in class and id (content_words), and what an element's attributes ask
# for; neither is inherited.
DIV_GONE, DIV_TEXT_FREE, BACKGROUND, GONE, TEXT_FREE, ARTICLE_BREAK = (
    1 << bit for bit in range(57, 63)
)

_FLAGS = {
    "pre": PRE, "listing": PRE, "plaintext": PRE, "xmp": PRE,
    "noscript": NOSCRIPT, "figure": FIGURE, "figcaption": CAPTION,
    **{
        tag: 1 << FIRST_AROUND + number
        for number, tags in enumerate(AROUND.values())
        for tag in tags
    },
}  # fmt: skip
_FACTS = ("title", "meta", "link", "base", "script")
TAGS = 256  # Lexbor numbers fewer elements; the last stands for those it does not know
UNKNOWN = TAGS - 1

# Attributes that are read, by a number of ours; numbers below are marks between them.
ATTRIBUTES = (
    "class", "id", "style", "title", "hidden", "alt", "width", "height", "src",
    "name", "property", "content", "http-equiv", "href", "rel", "type",
)  # fmt: skip
FIRST_ATTRIBUTE = 3
CLASS, ID, STYLE, TITLE, IS_HIDDEN = range(FIRST_ATTRIBUTE, FIRST_ATTRIBUTE + 5)
NAME, PROPERTY, HTTP_EQUIV, REL, TYPE = (
    FIRST_ATTRIBUTE + ATTRIBUTES.index(name)
    for name in ("name", "property", "http-equiv", "rel", "type")
)

_factory = LexborHTMLParser("")


def tag_id(name: str) -> int:
    """Lexbor's number of an HTML element."""
    return int(_factory.create_node(name).tag_id)


class Table(NamedTuple):
    """Numbers by hash, with open addressing: as many slots as a power of two."""

    keys: Integers  # 0: empty
    values: Integers


class Tables(NamedTuple):
    """Settings compiled for the walk; one per settings, shared by all pages."""

    kinds: Bytes  # tag -> INLINE ... DROP
    gaps: Bytes  # tag of a block -> LINE or PARAGRAPH
    flags: Integers  # tag of a block -> flags inherited inside
    names: Bytes  # the tags' names, one behind the other
    name_ends: Integers
    attributes: Bytes  # Lexbor's number of an attribute -> ours, or 0
    attribute_names: Table  # hash of an attribute's name -> our number
    addresses: npt.NDArray[np.bool_]  # by our number: whether the attribute holds an address
    words: Table  # hash of a word of class or id -> flags
    tokens: Table  # hash of a whole token of class, id or title -> flags
    classes: Bytes  # class of each character, see characters
    hidden: int  # flag of an element the markup hides: HIDDEN or GONE
    background: bool  # whether inline styles' background images count
    breaks: bool  # whether any class ends an article


@compiled
def borrow_tables(tables: Tables) -> Tables:
    """The tables without reference counts, for the inside of compiled code."""
    return Tables(
        borrowed(tables.kinds),
        borrowed(tables.gaps),
        borrowed(tables.flags),
        borrowed(tables.names),
        borrowed(tables.name_ends),
        borrowed(tables.attributes),
        Table(borrowed(tables.attribute_names.keys), borrowed(tables.attribute_names.values)),
        borrowed(tables.addresses),
        Table(borrowed(tables.words.keys), borrowed(tables.words.values)),
        Table(borrowed(tables.tokens.keys), borrowed(tables.tokens.values)),
        borrowed(tables.classes),
        tables.hidden,
        tables.background,
        tables.breaks,
    )


class Plan(NamedTuple):
    """Tables, and what Python needs beside them."""

    tables: Tables
    attribute_names: tuple[str, ...]  # by our number
    tag_names: tuple[str, ...]  # by Lexbor's number


def compile_plan(settings: ExtractSettings) -> Plan:
    """Turn settings into the walk's tables."""
    elements = settings.elements
    unknown = {"drop": DROP, "inline": INLINE, "line": BLOCK}[elements.unknown]
    kinds = np.full(TAGS, unknown, np.uint8)
    gaps = np.full(TAGS, LINE, np.uint8)
    names = ["*"] * TAGS

    def enter(tags: Iterable[str], kind: int, gap: int = NO_GAP) -> None:
        for name in tags:
            number = tag_id(name)
            if number < TAGS:
                names[number] = name
                kinds[number] = kind
                gaps[number] = gap

    enter(elements.drop, DROP)
    enter(elements.inline, INLINE)
    enter(elements.line, BLOCK, LINE)
    enter(elements.paragraph, BLOCK, PARAGRAPH)
    enter(["head"], BLOCK, LINE)
    enter(_FACTS, FACT)
    enter(["br"], BREAK)
    enter(["img"], IMAGE)
    if kinds[tag_id("a")] == INLINE:
        enter(["a"], LINK)
    flags = np.zeros(TAGS, np.int64)
    for name, flag in _FLAGS.items():
        flags[tag_id(name)] = flag
    images = settings.images
    attributes = list(dict.fromkeys((*ATTRIBUTES, *images.attributes, *images.srcset_attributes)))
    numbers = {name: FIRST_ATTRIBUTE + number for number, name in enumerate(attributes)}
    addresses = np.zeros(FIRST_ATTRIBUTE + len(attributes), np.bool_)
    addresses[[numbers[name] for name in ("src", *images.attributes)]] = True
    tables = Tables(
        kinds=kinds,
        gaps=gaps,
        flags=flags,
        names=np.frombuffer("".join(names).encode(), np.uint8),
        name_ends=np.cumsum([0, *(len(name) for name in names)]),
        attributes=_own_numbers(numbers),
        attribute_names=_table({hash_name(name): number for name, number in numbers.items()}),
        addresses=addresses,
        words=_table({hash_name(word): bits for word, bits in content_words.BITS.items()}),
        tokens=_tokens(settings),
        classes=CLASSES,
        hidden=HIDDEN if settings.hidden else GONE,
        background=images.background,
        breaks=bool(settings.tokens.article_break),
    )
    return Plan(tables, ("",) * FIRST_ATTRIBUTE + tuple(attributes), tuple(names))


def _tokens(settings: ExtractSettings) -> Table:
    tokens = settings.tokens
    flags: dict[int, int] = {}
    for names, flag in (
        (tokens.drop, GONE),
        (tokens.drop_div, DIV_GONE),
        (tokens.text_free, DIV_TEXT_FREE),
        (tokens.article_break, ARTICLE_BREAK),
    ):
        for name in names:
            key = hash_name(name)
            flags[key] = flags.get(key, 0) | flag
    return _table(flags)


def _table(entries: Mapping[int, int]) -> Table:
    size = 1 << (4 * len(entries) + 8).bit_length()
    keys, values = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for key, value in entries.items():
        slot = key & size - 1
        while keys[slot]:
            slot = (slot + 1) & size - 1
        keys[slot], values[slot] = key, value
    return Table(keys, values)


def _own_numbers(numbers: Mapping[str, int]) -> Bytes:
    """Our numbers of the attributes that Lexbor numbers itself."""
    found = np.zeros(DYNAMIC, np.uint8)
    names: Sequence[str] = list(numbers)
    tree = LexborHTMLParser(f"<i {' '.join(names)}>")
    element: Any = tree.css_first("i")
    attribute = attribute_of(element.mem_id)
    for name in names:
        number = name_of(attribute)
        if 0 < number < DYNAMIC:
            found[number] = numbers[name]
        attribute = attribute_after(attribute)
    return found
