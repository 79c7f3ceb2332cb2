"""What each element means for the walk: settings and content_words.yaml as tables of numbers.

An element's tag says what the walk does there; its attributes add flags. Words of class and id
(content_words.yaml) describe the element to the content score; whole tokens of class, id and title
(settings) and inline styles can drop it, silence it or hide it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import yaml

from benben.pipeline.characters import CLASSES
from benben.pipeline.compiled import Bytes, Integers, borrowed, byte_at, compiled, int64
from benben.pipeline.hash_tables import Table, borrowed_table, first_slot, look_up, make_table
from benben.pipeline.page.dom.lexbor import (
    DYNAMIC,
    attribute_after,
    attribute_of,
    hash_name,
    name_hash,
    name_of,
    parse,
    quick_hash,
    value_of,
)
from benben.pipeline.settings.extract import ExtractSettings

# What the walk does at an element. Inline elements and links are unwrapped; blocks break the text.
INLINE, LINK, BLOCK, BREAK, IMAGE, FACT, DROP = range(7)
_FACTS = ("title", "meta", "link", "base", "script")
TAGS = 256  # Lexbor numbers fewer elements; the last stands for those it does not know
UNKNOWN = TAGS - 1

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
_TAG_FLAGS = {
    "pre": PRE, "listing": PRE, "plaintext": PRE, "xmp": PRE,
    "noscript": NOSCRIPT, "figure": FIGURE, "figcaption": CAPTION,
    **{
        tag: 1 << FIRST_AROUND + number
        for number, tags in enumerate(AROUND.values())
        for tag in tags
    },
}  # fmt: skip

# Flags that are not inherited: groups of words in class and id ...
_GROUPS: dict[str, list[str]] = yaml.safe_load(
    (resources.files("benben.pipeline.page.dom") / "content_words.yaml").read_text(encoding="utf-8")
)
GROUPS = tuple(_GROUPS)
FIRST_BIT = 16
LAST_BIT = FIRST_BIT + len(GROUPS)
INHERITED = (1 << FIRST_BIT) - 1
_WORD_FLAGS: dict[str, int] = {}
for _number, _entries in enumerate(_GROUPS.values()):
    for _entry in _entries:
        for _form in (_entry, f"{_entry}s"):
            _WORD_FLAGS[_form] = _WORD_FLAGS.get(_form, 0) | 1 << FIRST_BIT + _number
# ... and what an element's attributes ask for.
DIV_GONE, DIV_TEXT_FREE, BACKGROUND, GONE, TEXT_FREE, ARTICLE_BREAK = (
    1 << bit for bit in range(57, 63)
)

# Attributes that are read. Our numbers for them start above the marks that `notes` puts between
# them (see columns).
ATTRIBUTES = (
    "class", "id", "style", "title", "hidden", "alt", "width", "height", "src",
    "name", "property", "content", "http-equiv", "href", "rel", "type", "media", "data-widths",
)  # fmt: skip
FIRST_ATTRIBUTE = 4
CLASS, ID, STYLE, TITLE, IS_HIDDEN = range(FIRST_ATTRIBUTE, FIRST_ATTRIBUTE + 5)
NAME, PROPERTY, HTTP_EQUIV, REL, TYPE = (
    FIRST_ATTRIBUTE + ATTRIBUTES.index(name)
    for name in ("name", "property", "http-equiv", "rel", "type")
)

# For compiled code: words of inline styles, flags that an id may give, constants of `hash_bytes`.
_DISPLAY = np.frombuffer(b"display", np.uint8)
_NONE = np.frombuffer(b"none", np.uint8)
_VISIBILITY = np.frombuffer(b"visibility", np.uint8)
_HIDDEN = np.frombuffer(b"hidden", np.uint8)
_URL = np.frombuffer(b"url(", np.uint8)
_OF_ID = (1 << LAST_BIT) - 1 | DIV_GONE
_SEED, _PRIME = 0xCBF29CE484222325, 0x100000001B3

_factory = parse("")


def tag_id(name: str) -> int:
    """Return Lexbor's number of an HTML element."""
    return int(_factory.create_node(name).tag_id)


class Tables(NamedTuple):
    """Settings compiled for the walk, once for all pages."""

    kinds: Bytes  # tag -> INLINE ... DROP
    gaps: Bytes  # tag of a block -> LINE or PARAGRAPH
    flags: Integers  # tag of a block -> flags inherited inside
    names: Bytes  # the names of the tags, concatenated
    name_ends: Integers
    attributes: Bytes  # Lexbor's number of an attribute -> ours, or 0
    attribute_names: Table  # hash of an attribute's name -> our number
    addresses: npt.NDArray[np.bool_]  # by our number: whether the attribute holds an address
    words: Table  # hash of a word of class or id -> flags
    tokens: Table  # hash of a whole token of class, id or title -> flags
    classes: Bytes  # class of each character, as in pipeline/characters.py
    hidden: int  # flag of an element that the markup hides: HIDDEN or GONE
    background: bool  # whether inline styles' background images count
    breaks: bool  # whether any class ends an article


@compiled
def borrow_tables(tables: Tables) -> Tables:
    """Return the tables without reference counts, for use inside compiled code."""
    return Tables(
        borrowed(tables.kinds),
        borrowed(tables.gaps),
        borrowed(tables.flags),
        borrowed(tables.names),
        borrowed(tables.name_ends),
        borrowed(tables.attributes),
        borrowed_table(tables.attribute_names),
        borrowed(tables.addresses),
        borrowed_table(tables.words),
        borrowed_table(tables.tokens),
        borrowed(tables.classes),
        tables.hidden,
        tables.background,
        tables.breaks,
    )


class Plan(NamedTuple):
    """The tables, and the names that Python code needs."""

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
    for name, flag in _TAG_FLAGS.items():
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
        words=_table({hash_name(word): bits for word, bits in _WORD_FLAGS.items()}),
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
    keys, values = list(entries), list(entries.values())
    return make_table(np.array(keys, np.int64), np.array(values, np.int64))


def _own_numbers(numbers: Mapping[str, int]) -> Bytes:
    """Map Lexbor's numbers of attributes to ours; 0 for those that are not read."""
    found = np.zeros(DYNAMIC, np.uint8)
    names: Sequence[str] = list(numbers)
    tree = parse(f"<i {' '.join(names)}>")
    element: Any = tree.css_first("i")
    attribute = attribute_of(element.mem_id)
    for name in names:
        number = name_of(attribute)
        if 0 < number < DYNAMIC:
            found[number] = numbers[name]
        attribute = attribute_after(attribute)
    return found


# Flags of an element by its attributes, compiled.


@compiled
def number_of(tables: Tables, attribute: int) -> int:
    """Return our number of an attribute, or 0."""
    name = name_of(attribute)
    if 0 <= name < DYNAMIC:
        return int64(tables.attributes[name])
    return look_up(tables.attribute_names, name_hash(name))


@compiled
def attribute_flags(tables: Tables, memo: Table, element: int, is_div: bool) -> int:
    """Return the flags that an element's attributes give it; those of a div become its own."""
    flags = 0
    attribute = attribute_of(element)
    while attribute:
        number = number_of(tables, attribute)
        if CLASS <= number <= IS_HIDDEN:
            address, length = value_of(attribute)
            if number == CLASS:
                flags |= value_flags(tables, memo, address, length)
            elif number == ID:
                flags |= value_flags(tables, memo, address, length) & _OF_ID
            elif number == TITLE:
                if is_div:
                    flags |= value_flags(tables, memo, address, length) & DIV_GONE
            elif number == STYLE:
                if _hides(address, length):
                    flags |= tables.hidden
                if tables.background and find(address, length, _URL) >= 0:
                    flags |= BACKGROUND
            else:
                flags |= tables.hidden
        attribute = attribute_after(attribute)
    if is_div and flags & DIV_GONE:
        flags |= GONE
    elif is_div and flags & DIV_TEXT_FREE:
        flags |= TEXT_FREE
    return flags


@compiled
def ends_article(tables: Tables, memo: Table, element: int) -> bool:
    """Tell whether an inline element's class makes it a read-more link."""
    attribute = attribute_of(element)
    while attribute:
        name = name_of(attribute)
        if 0 <= name < DYNAMIC and tables.attributes[name] == CLASS:
            address, length = value_of(attribute)
            return value_flags(tables, memo, address, length) & ARTICLE_BREAK != 0
        attribute = attribute_after(attribute)
    return False


@compiled
def value_flags(tables: Tables, memo: Table, address: int, length: int) -> int:
    """Return the flags of a value's words and whole tokens, remembered for the page."""
    key = quick_hash(address, length)
    slot = first_slot(key, memo.bits)
    if memo.keys[slot] != key:
        memo.keys[slot] = key
        memo.values[slot] = _read_value(tables, address, length)
    return int64(memo.values[slot])


@compiled
def _read_value(tables: Tables, address: int, length: int) -> int:
    """Look up tokens (between white space) and words (runs of letters, camelCase split)."""
    flags, before = 0, 32
    token, word = np.uint64(_SEED), np.uint64(_SEED)
    token_size = word_size = 0
    for place in range(length + 1):
        byte = byte_at(address + place) if place < length else 32
        small, capital = is_small(byte), is_capital(byte)
        # A word ends before what is no letter, before a capital that follows a small letter, and
        # before a small letter that follows several capitals: navBar and NAVbar are nav, bar.
        if word_size and (
            not (small or capital)
            or (capital and is_small(before))
            or (small and is_capital(before) and word_size > 1)
        ):
            flags |= look_up(tables.words, int64(word | np.uint64(1)))
            word, word_size = np.uint64(_SEED), 0
        letter = np.uint64(byte + 32 if capital else byte)
        if small or capital:
            word = (word ^ letter) * np.uint64(_PRIME)
            word_size += 1
        if byte == 32 or 9 <= byte <= 13:
            if token_size:
                flags |= look_up(tables.tokens, int64(token | np.uint64(1)))
            token, token_size = np.uint64(_SEED), 0
        else:
            token = (token ^ letter) * np.uint64(_PRIME)
            token_size += 1
        before = byte
    return flags


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


@compiled
def _hides(address: int, length: int) -> bool:
    """Tell whether an inline style says display: none or visibility: hidden."""
    return _declares(address, length, _DISPLAY, _NONE) or _declares(
        address, length, _VISIBILITY, _HIDDEN
    )


@compiled
def _declares(address: int, length: int, name: Bytes, value: Bytes) -> bool:
    """Tell whether an inline style gives a property a value."""
    place = 0
    while True:
        found = find(address + place, length - place, name)
        if found < 0:
            return False
        place += found + len(name)
        seek = _after_blanks(address, place, length)
        if seek < length and byte_at(address + seek) == 58:  # a colon
            seek = _after_blanks(address, seek + 1, length)
            if find(address + seek, min(len(value), length - seek), value) == 0:
                return True


@compiled
def _after_blanks(address: int, place: int, length: int) -> int:
    while place < length and (
        byte_at(address + place) == 32 or 9 <= byte_at(address + place) <= 13
    ):
        place += 1
    return place
