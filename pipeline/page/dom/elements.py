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
import yaml

from benben.pipeline.characters import CLASSES
from benben.pipeline.compiled import Bytes, Integers, byte_at, called, compiled, int64
from benben.pipeline.errors import InputError
from benben.pipeline.hash_tables import Table, first_slot, look_up, make_table
from benben.pipeline.page.dom.lexbor import (
    DYNAMIC,
    attribute_after,
    attribute_of,
    declares,
    find,
    hash_name,
    is_capital,
    is_small,
    moves_away,
    name_hash,
    name_of,
    parse,
    quick_hash,
    value_of,
)
from benben.pipeline.settings.extract import ExtractSettings, Selectors

# What the walk does at an element. It goes into those up to BLOCK: inline ones are unwrapped, a
# block breaks the text. A line breaks the line of preformatted text and ends other text, but is no
# element of its own: blocks in code, and inline elements whose style displays them as blocks.
# Raised text is that of <sup> and <sub>. Either is an element in none of the lists: a block if it
# holds one, else inline. Instead of some elements the walk writes other text.
(
    INLINE, LINK, QUOTE, OWN_LINE, LINKED_LINE, BLOCK, BREAK, IMAGE, FACT, RAISED, EITHER, INSTEAD,
    DROP,
) = range(13)  # fmt: skip
FACT_TAGS = ("title", "meta", "link", "base", "script")
TAGS = 256  # the last stands for elements that are in none of the lists
UNKNOWN = TAGS - 1
FIRST_OWN = 200  # Lexbor numbers fewer elements; others that settings name get numbers from here
# Dropped elements of these names are kept where they hold what the page is about: see walk.
_AROUND_PAGE = frozenset(("nav", "header", "footer", "aside", "menu", "form", "dialog"))
# Names of ours: what extract adds to a page, and what MathJax wraps formulas in.
_NAMED = {"json-ld": FIRST_OWN, "mjx-container": FIRST_OWN + 1}
CONTAINER = FIRST_OWN + 1
# In preformatted text these are lines (or cells of one) rather than blocks.
_CODE_LINES = ("div", "p", "ol", "ul", "li", "table", "thead", "tbody", "tr")
_CODE_CELLS = ("td", "th")

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
# Inherited as well, but far from the features: a copy for the eye (aria-hidden), text that does not
# count, lines broken where the source breaks them (white-space: pre-line).
COPY, QUIET, LINES = (1 << bit for bit in (56, 55, 54))
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
_GROUPS, _QUOTES = (
    yaml.safe_load((resources.files(__package__) / f"{name}.yaml").read_text(encoding="utf-8"))
    for name in ("content_words", "quotation_marks")
)
_LANGUAGES = {language: row for row, names in enumerate(_QUOTES.values(), 1) for language in names}
GROUPS = tuple(_GROUPS)
FIRST_BIT = 16
LAST_BIT = FIRST_BIT + len(GROUPS)
INHERITED = (1 << FIRST_BIT) - 1 | COPY | QUIET | LINES | 1 << 50
_WORD_FLAGS: dict[str, int] = {}
for _number, _entries in enumerate(_GROUPS.values()):
    for _entry in _entries:
        for _form in (_entry, f"{_entry}s"):
            _WORD_FLAGS[_form] = _WORD_FLAGS.get(_form, 0) | 1 << FIRST_BIT + _number
# ... and what an element's attributes ask for.
DIV_GONE, DIV_TEXT_FREE, BACKGROUND, GONE, TEXT_FREE, ARTICLE_BREAK = (
    1 << bit for bit in range(57, 63)
)
DIV_QUIET, GUTTER, MARKED = (1 << bit for bit in (53, 52, 51))
AS_BLOCK = 1 << 49  # the style displays the element as a block
KEPT = 1 << 50  # a selector of the settings keeps the element; inherited
HAS_ADDRESS = 1  # only in what inline_flags returns: the element has a href
CODE_LINE = 8  # only in what value_flags returns: a line of code

# Attributes that are read. Our numbers for them start above the marks that `notes` puts between
# them (see columns).
ATTRIBUTES = (
    "class", "id", "style", "title", "hidden", "aria-hidden", "alt", "width", "height", "src",
    "name", "property", "content", "http-equiv", "href", "rel", "type", "media", "data-widths",
    "colspan", "rowspan", "lang", "xml:lang",
)  # fmt: skip
FIRST_ATTRIBUTE = 4
CLASS, ID, STYLE, TITLE, IS_HIDDEN, ARIA_HIDDEN = range(FIRST_ATTRIBUTE, FIRST_ATTRIBUTE + 6)
NAME, PROPERTY, HTTP_EQUIV, HREF, REL, TYPE = (
    FIRST_ATTRIBUTE + ATTRIBUTES.index(name)
    for name in ("name", "property", "http-equiv", "href", "rel", "type")
)
COLSPAN, ROWSPAN, LANG, XML_LANG = (
    FIRST_ATTRIBUTE + ATTRIBUTES.index(name) for name in ("colspan", "rowspan", "lang", "xml:lang")
)

# For compiled code: words of inline styles, flags that an id may give, constants of `hash_bytes`.
(
    _DISPLAY, _NONE, _BLOCK, _FLEX, _GRID, _LIST_ITEM, _VISIBILITY, _HIDDEN, _WHITE_SPACE, _PRE,
    _PRE_LINE, _BREAK_SPACES, _LEFT, _TOP, _URL, _TRUE, _UNTIL_FOUND,
) = (
    np.frombuffer(word.encode(), np.uint8) for word in (
        "display", "none", "block", "flex", "grid", "list-item", "visibility", "hidden",
        "white-space", "pre", "pre-line", "break-spaces", "left", "top", "url(", "true",
        "until-found",
    )
)  # fmt: skip
_OF_ID = (1 << LAST_BIT) - (1 << FIRST_BIT) | DIV_GONE | DIV_QUIET
_OF_STYLE = 0x5DEECE66D  # tells styles from classes of the same text in the memo
_SEED, _PRIME = 0xCBF29CE484222325, 0x100000001B3

_BELOW = ("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")
_ABOVE = ("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ")

_factory = parse("")


def tag_id(name: str) -> int:
    """Return Lexbor's number of an HTML element."""
    return int(_factory.create_node(name).tag_id)


class Tables(NamedTuple):
    """Settings compiled for the walk, once for all pages."""

    kinds: Bytes  # tag -> INLINE ... DROP
    own_tags: Table  # hash of a name that Lexbor has no number for -> tag
    in_code: Bytes  # tag of a block -> what it is in preformatted text
    gaps: Bytes  # tag of a block -> LINE or PARAGRAPH
    flags: Integers  # tag of a block -> flags inherited inside
    names: Bytes  # the names of the tags, concatenated
    name_ends: Integers
    attributes: Bytes  # Lexbor's number of an attribute -> ours, or 0
    attribute_names: Table  # hash of an attribute's name -> our number
    addresses: Bytes  # by our number: whether the attribute holds an address
    backgrounds: Bytes  # ... or may name a background
    words: Table  # hash of a word of class or id -> flags
    tokens: Table  # hash of a whole token of class, id or title -> flags
    classes: Bytes  # class of each character, as in pipeline/characters.py
    languages: Table  # hash of a language -> row of `quotes`
    quotes: Integers  # quotation marks of a <q> and of one inside another; row 0: other languages
    permalinks: Table  # hash of a word that is a permalink
    raised: Integers  # ASCII character -> its form below and above the line, or 0
    drop_hidden: bool  # whether elements that the markup hides are dropped
    drop_notes: bool  # whether marks of notes are dropped
    keeps: bool  # whether selectors keep elements, which may lie in dropped ones
    background: bool  # whether inline styles' background images count


class Plan(NamedTuple):
    """The tables, and the names that Python code needs."""

    tables: Tables
    selectors: Selectors
    formulas: bool  # whether formulas are written as TeX
    attribute_names: tuple[str, ...]  # by our number
    tag_names: tuple[str, ...]  # by Lexbor's number


def compile_plan(settings: ExtractSettings) -> Plan:
    """Turn settings into the walk's tables."""
    elements = settings.elements
    unknown = {"drop": DROP, "inline": EITHER, "line": BLOCK}[elements.unknown]
    kinds = np.full(TAGS, unknown, np.uint8)
    gaps = np.full(TAGS, LINE, np.uint8)
    flags = np.zeros(TAGS, np.int64)
    names = ["*"] * TAGS
    own = dict(_NAMED)
    for name, flag in _TAG_FLAGS.items():
        flags[tag_id(name)] = flag

    def enter(tags: Iterable[str], kind: int, gap: int = LINE) -> None:
        for name in tags:
            number = tag_id(name)
            if number >= FIRST_OWN:
                number = own.setdefault(name, FIRST_OWN + len(own))
                if number >= UNKNOWN:
                    raise InputError(f"extract.elements: {name}: too many names unknown to HTML")
            names[number] = name
            kinds[number] = kind
            gaps[number] = gap

    enter(["head", "json-ld"], BLOCK)
    enter(FACT_TAGS, FACT)
    enter(["br"], BREAK)
    enter(["img", *settings.images.elements], IMAGE)
    enter([name for name in elements.drop if name not in FACT_TAGS], DROP)
    enter(elements.inline, INLINE)
    enter(elements.line, BLOCK)
    enter(elements.paragraph, BLOCK, PARAGRAPH)
    for name, kind in (("a", LINK), ("q", QUOTE), ("sup", RAISED), ("sub", RAISED)):
        if kinds[tag_id(name)] == INLINE:
            kinds[tag_id(name)] = kind
    for name in _AROUND_PAGE & set(elements.drop):
        kinds[tag_id(name)] = BLOCK
        flags[tag_id(name)] |= GONE
    return _plan(settings, kinds, gaps, flags, names, own)


def _plan(
    settings: ExtractSettings,
    kinds: Bytes,
    gaps: Bytes,
    flags: Integers,
    names: Sequence[str],
    own: Mapping[str, int],
) -> Plan:
    """Add to the tables of elements those of attributes."""
    images = settings.images
    found = (
        *ATTRIBUTES,
        *images.attributes,
        *images.srcset_attributes,
        *images.background_attributes,
    )
    attributes = list(dict.fromkeys(found))
    numbers = {name: FIRST_ATTRIBUTE + number for number, name in enumerate(attributes)}
    addresses = np.zeros(FIRST_ATTRIBUTE + len(attributes), np.uint8)
    addresses[[numbers[name] for name in ("src", *images.attributes)]] = True
    backgrounds = np.zeros(FIRST_ATTRIBUTE + len(attributes), np.uint8)
    backgrounds[[numbers[name] for name in images.background_attributes]] = True
    in_code = np.full(TAGS, BLOCK, np.uint8)
    in_code[[tag_id(name) for name in _CODE_LINES]] = OWN_LINE
    in_code[[tag_id(name) for name in _CODE_CELLS]] = INLINE
    tables = Tables(
        kinds=kinds,
        own_tags=_table({hash_name(name): number for name, number in own.items()}),
        in_code=in_code,
        gaps=gaps,
        flags=flags,
        names=np.frombuffer("".join(names).encode(), np.uint8),
        name_ends=np.cumsum([0, *(len(name.encode()) for name in names)]),
        attributes=_own_numbers(numbers),
        attribute_names=_table({hash_name(name): number for name, number in numbers.items()}),
        addresses=addresses,
        backgrounds=backgrounds,
        words=_table({hash_name(word): bits for word, bits in _WORD_FLAGS.items()}),
        tokens=_tokens(settings),
        classes=CLASSES,
        languages=_table({hash_name(name): row for name, row in _LANGUAGES.items()}),
        quotes=np.array([[ord(mark) for mark in marks] for marks in ("“”‘’", *_QUOTES)]),
        permalinks=_table({hash_name(word): 1 for word in settings.tokens.permalinks}),
        raised=_raised(),
        drop_hidden=not settings.hidden,
        drop_notes=not settings.note_marks,
        keeps=bool(settings.selectors.keep),
        background=images.background or bool(images.background_attributes),
    )
    return Plan(
        tables,
        settings.selectors,
        settings.formulas,
        ("",) * FIRST_ATTRIBUTE + tuple(attributes),
        tuple(names),
    )


def _raised() -> Integers:
    """Forms of digits and signs below and above the line (Unicode's superscripts, subscripts)."""
    forms = np.zeros((128, 2), np.int64)
    for form, (plain, signs) in enumerate((_BELOW, _ABOVE)):
        forms[[ord(sign) for sign in plain], form] = [ord(sign) for sign in signs]
    return forms


def _tokens(settings: ExtractSettings) -> Table:
    tokens = settings.tokens
    flags: dict[int, int] = {}
    for names, flag in (
        (tokens.drop, GONE),
        (tokens.drop_div, DIV_GONE),
        (tokens.images_only, DIV_QUIET),
        (tokens.marks, MARKED),
        (tokens.line_numbers, GUTTER),
        (tokens.code, PRE),
        (tokens.code_lines, CODE_LINE),
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


# Tags and flags of an element, compiled.


@compiled
def tag_of(tables: Tables, element: int) -> int:
    """Return the number of an element's name."""
    name = name_of(element)
    if 0 <= name < FIRST_OWN:
        return name
    return look_up(tables.own_tags, name_hash(name)) or UNKNOWN


@compiled
def number_of(tables: Tables, attribute: int) -> int:
    """Return our number of an attribute, or 0."""
    name = name_of(attribute)
    if 0 <= name < DYNAMIC:
        return int64(tables.attributes[name])
    return look_up(tables.attribute_names, name_hash(name))


@called
def attribute_flags(tables: Tables, memo: Table, element: int, is_div: bool) -> int:
    """Return the flags that an element's attributes give it; those of a div become its own."""
    flags = 0
    attribute = attribute_of(element)
    while attribute:
        number = number_of(tables, attribute)
        if CLASS <= number <= ARIA_HIDDEN:
            address, length = value_of(attribute)
            if number == CLASS:
                flags |= value_flags(tables, memo, address, length) & ~CODE_LINE
            elif number == ID:
                flags |= value_flags(tables, memo, address, length) & _OF_ID
            elif number == TITLE:
                if is_div:
                    flags |= value_flags(tables, memo, address, length) & DIV_GONE
            elif number == STYLE:
                flags |= _style_flags(memo, address, length)
            elif number == IS_HIDDEN:
                flags |= HIDDEN if find(address, length, _UNTIL_FOUND) < 0 else 0
            elif find(address, length, _TRUE) == 0:
                flags |= COPY
        elif tables.backgrounds[number]:
            flags |= BACKGROUND
        attribute = attribute_after(attribute)
    if is_div and flags & DIV_GONE:
        flags |= GONE
    elif is_div and flags & DIV_QUIET:
        flags |= QUIET
    elif is_div and flags & DIV_TEXT_FREE:
        flags |= TEXT_FREE
    if flags & MARKED:
        flags |= GONE
    return flags


@called
def inline_flags(tables: Tables, memo: Table, element: int) -> int:
    """Return the flags of an inline element's class, HIDDEN, AS_BLOCK, HAS_ADDRESS for a href."""
    flags = 0
    attribute = attribute_of(element)
    while attribute:
        number = number_of(tables, attribute)
        address, length = value_of(attribute)
        if number == CLASS:
            flags |= value_flags(tables, memo, address, length) & ~(CODE_LINE | PRE)
        elif number == STYLE:
            flags |= _style_flags(memo, address, length) & (HIDDEN | AS_BLOCK)
        elif number == IS_HIDDEN:
            flags |= HIDDEN if find(address, length, _UNTIL_FOUND) < 0 else 0
        elif number == HREF:
            flags |= HAS_ADDRESS
        attribute = attribute_after(attribute)
    return flags


@called
def _style_flags(memo: Table, address: int, length: int) -> int:
    """Return the flags of an inline style, remembered for the page."""
    key = (quick_hash(address, length) ^ _OF_STYLE) | 1
    slot = first_slot(key, memo.bits)
    if memo.keys[slot] != key:
        memo.keys[slot] = key
        memo.values[slot] = _read_style(address, length)
    return int64(memo.values[slot])


@compiled
def _read_style(address: int, length: int) -> int:
    """Read whether a style hides an element, shows it as a block, or gives it a background.

    And whether it keeps line breaks.
    """
    flags = 0
    if (
        declares(address, length, _DISPLAY, _NONE)
        or declares(address, length, _VISIBILITY, _HIDDEN)
        or moves_away(address, length, _LEFT)
        or moves_away(address, length, _TOP)
    ):
        flags |= HIDDEN
    elif (
        declares(address, length, _DISPLAY, _BLOCK)
        or declares(address, length, _DISPLAY, _FLEX)
        or declares(address, length, _DISPLAY, _GRID)
        or declares(address, length, _DISPLAY, _LIST_ITEM)
    ):
        flags |= AS_BLOCK
    if find(address, length, _URL) >= 0:
        flags |= BACKGROUND
    if declares(address, length, _WHITE_SPACE, _PRE_LINE):
        flags |= LINES
    elif declares(address, length, _WHITE_SPACE, _PRE) or declares(
        address, length, _WHITE_SPACE, _BREAK_SPACES
    ):
        flags |= PRE
    return flags


@called
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
