"""Flags of an element by its attributes, compiled: words of class and id, what drops or hides."""

from __future__ import annotations

import numpy as np

from benben.pipeline.compiled import byte_at, compiled
from benben.pipeline.page import content_words
from benben.pipeline.page.dom import (
    ARTICLE_BREAK,
    BACKGROUND,
    CLASS,
    DIV_GONE,
    DIV_TEXT_FREE,
    GONE,
    ID,
    IS_HIDDEN,
    STYLE,
    TEXT_FREE,
    TITLE,
    Table,
    Tables,
)
from benben.pipeline.page.lexbor import (
    DYNAMIC,
    attribute_after,
    attribute_of,
    name_hash,
    name_of,
    quick_hash,
    value_of,
)

_DISPLAY = np.frombuffer(b"display", np.uint8)
_NONE = np.frombuffer(b"none", np.uint8)
_VISIBILITY = np.frombuffer(b"visibility", np.uint8)
_HIDDEN = np.frombuffer(b"hidden", np.uint8)
_URL = np.frombuffer(b"url(", np.uint8)
_OF_ID = (1 << content_words.LAST_BIT) - 1 | DIV_GONE
_SEED, _PRIME = 0xCBF29CE484222325, 0x100000001B3  # of hash_bytes


@compiled
def look_up(table: Table, key: int) -> int:
    """Value of a hash, or 0."""
    mask = len(table.keys) - 1
    slot = key & mask
    while table.keys[slot]:
        if table.keys[slot] == key:
            return table.values[slot]
        slot = (slot + 1) & mask
    return 0


@compiled
def number_of(tables: Tables, attribute: int) -> int:
    """Our number of an attribute, or 0."""
    name = name_of(attribute)
    if 0 <= name < DYNAMIC:
        return np.int64(tables.attributes[name])
    return look_up(tables.attribute_names, name_hash(name))


@compiled
def attribute_flags(tables: Tables, memo: Table, element: int, is_div: bool) -> int:
    """Flags that an element's attributes give it; GONE and TEXT_FREE are settled."""
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
    """Whether an inline element's class makes it a read-more link."""
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
    """Flags of the words and of the whole tokens of a value; a page's are remembered."""
    key = quick_hash(address, length)
    slot = key & len(memo.keys) - 1
    if memo.keys[slot] != key:
        memo.keys[slot] = key
        memo.values[slot] = _read_value(tables, address, length)
    return memo.values[slot]


@compiled
def _read_value(tables: Tables, address: int, length: int) -> int:
    """Look up tokens (between white space) and words (runs of letters, camelCase parted)."""
    flags, before = 0, 32
    token, word = np.uint64(_SEED), np.uint64(_SEED)
    token_size = word_size = 0
    for place in range(length + 1):
        byte = byte_at(address + place) if place < length else 32
        small, capital = is_small(byte), is_capital(byte)
        # A word ends at what is no letter, at a capital behind a small letter, and at a small
        # letter behind several capitals: navBar is nav, bar and NAVbar is nav, bar.
        if word_size and (
            not (small or capital)
            or (capital and is_small(before))
            or (small and is_capital(before) and word_size > 1)
        ):
            flags |= look_up(tables.words, np.int64(word | np.uint64(1)))
            word, word_size = np.uint64(_SEED), 0
        letter = np.uint64(byte + 32 if capital else byte)
        if small or capital:
            word = (word ^ letter) * np.uint64(_PRIME)
            word_size += 1
        if byte == 32 or 9 <= byte <= 13:
            if token_size:
                flags |= look_up(tables.tokens, np.int64(token | np.uint64(1)))
            token, token_size = np.uint64(_SEED), 0
        else:
            token = (token ^ letter) * np.uint64(_PRIME)
            token_size += 1
        before = byte
    return flags


@compiled
def is_capital(byte: int) -> bool:
    """Whether a byte is A to Z."""
    return 65 <= byte <= 90


@compiled
def is_small(byte: int) -> bool:
    """Whether a byte is a to z."""
    return 97 <= byte <= 122


@compiled
def lower(byte: int) -> int:
    """ASCII lower case."""
    return byte + 32 if is_capital(byte) else byte


@compiled
def find(address: int, length: int, wanted: np.ndarray) -> int:
    """Place of lower-case letters among bytes of any case, or -1."""
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
    """Whether an inline style says display: none or visibility: hidden."""
    return _declares(address, length, _DISPLAY, _NONE) or _declares(
        address, length, _VISIBILITY, _HIDDEN
    )


@compiled
def _declares(address: int, length: int, name: np.ndarray, value: np.ndarray) -> bool:
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
