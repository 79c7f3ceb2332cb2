"""What the bytes of a page tell before it is parsed: what that would cost, and what to mend.

Three costs of HTML's rules grow faster than a page: an element's attributes are compared with one
another; a tag is looked for among the elements that are open (HTML Standard, 13.2.4.2); and
formatting elements that were not closed are opened again in every block (13.2.4.3). A tree also
takes many times the memory of tags of three bytes, and the parser keeps a note of 16 bytes for each
mistake, which may be every byte of a page. The pass does not tell what the parser closes by itself
from what stays open, nor what is a mistake in a tag, so it counts generously; what it misses, the
time limit ends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benben.pipeline.compiled import Bytes, Integers, borrowed, byte_at, compiled, int64, word_at

# Limits of one page. A real page of the largest size allowed is far below each.
STEPS = 200_000_000  # looks at open elements, about two seconds of Lexbor's time
COMPARISONS = 500_000_000  # of attributes' names, about two seconds
NODES = 600_000  # elements, comments and attributes; with their texts less than 400 MB
MISTAKES = 16  # no more memory than one of these
IN_TAG = 4  # mistakes that a byte of a tag outside quotes counts for: two may be an attribute
ZERO = 4  # mistakes that a zero byte counts for, since it becomes a character of three bytes
FEW_MISTAKES = 1_000_000  # in a page whose tags are not looked at: 16 MB
REASONS = ("", "depth", "attributes", "elements")
FINE, DEPTH, ATTRIBUTES, NODE_COUNT = range(4)

LEVELS = 1 << 15  # open elements that are followed
SEARCHED = 64  # levels that an end tag is looked for in
FORMATS = 256  # formatting elements that are followed
SHORT = 64  # bytes of a stretch without quotes that is taken to hold few attributes
LONG_TAG = 512  # bytes; few tags that are shorter do not reach COMPARISONS
UNKNOWN = 3  # nodes that a name of no known element counts for: Lexbor looks for it among all such
# Looks at open elements for each byte of a piece of a page that is parsed by itself, and for each
# piece, so that the pieces of a page together do not cost more than a page.
PIECE_STEPS, STEPS_OF_A_PIECE = 10, 10_000

_TABLE = 1 << 12
_OTHER, _VOID, _IMPLIED, _FORMAT, _LINK, _RAW, _BLOCK = range(7)
_NAMES = {
    _VOID: "area base basefont bgsound br col embed frame hr img input keygen link meta param "
    "source track wbr",
    # Their end tags may be left out, so that counting start tags would not tell how deep they nest;
    # none nests but in an element that is counted.
    _IMPLIED: "body caption colgroup dd dt head html li optgroup option p rb rp rt rtc tbody td "
    "tfoot th thead tr",
    _FORMAT: "b big code em font i nobr s small strike strong tt u",
    _LINK: "a",
    _RAW: "iframe noembed noframes plaintext script style textarea title xmp",
    _BLOCK: "abbr article aside blockquote button center cite details div dl fieldset figure "
    "footer form h1 h2 h3 h4 h5 h6 header label main nav ol pre section select span table template "
    "ul",
}  # fmt: skip
_ONES, _HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_FACTOR = 131  # no two names share a place of the table
_BITS = 0x7FFFFFFFFFFFFFFF


def _hash(name: str) -> int:
    found = 0
    for character in name:
        found = (found * _FACTOR + ord(character)) & _BITS
    return found


def _tables() -> tuple[Integers, Bytes]:
    """Hashes of names at their places, and what kind of element each names."""
    names, kinds = np.zeros(_TABLE, np.int64), np.zeros(_TABLE, np.uint8)
    for kind, listed in _NAMES.items():
        for name in listed.split():
            place = _hash(name) % _TABLE
            assert not names[place], f"{name}: choose another size of the table"
            names[place], kinds[place] = _hash(name), kind
    return names, kinds


_HASHES, _KINDS = _tables()
_P, _BR = _hash("p"), _hash("br")
_USUAL_PLACES = 64  # more are counted, then written in a second pass
_NOSCRIPT, _BODY, _TEMPLATE = (
    np.frombuffer(name, np.uint8) for name in (b"noscript", b"body", b"template")
)
_LEAD = 0xC3  # of letters that windows-1252 has for the lead bytes of UTF-8
_LESS, _MORE, _SLASH, _EQUALS, _BANG, _ASK, _DASH, _QUOTE, _APOSTROPHE = b"<>/=!?-\"'"
_MORES, _QUOTE_MARKS, _APOSTROPHES = (  # in each byte of a word
    np.uint64(byte) * _ONES for byte in (_MORE, _QUOTE, _APOSTROPHE)
)


class LimitError(Exception):
    """The page exceeds a limit; the message is the limit's name."""


class Survey(NamedTuple):
    """What a look at each tag of a page tells."""

    limit: str  # the cost of parsing that is out of proportion, or ""
    noscripts: tuple[int, ...]  # places of the tags of <noscript>
    body: int  # place of the first <body>, or -1
    templates: int  # number of <template>


def survey(page: bytes, is_piece: bool = False) -> Survey:
    """Look at the tags of a page in UTF-8, or of a piece of one that is parsed by itself."""
    if not page:
        return Survey("", (), -1, 0)
    steps = STEPS_OF_A_PIECE + PIECE_STEPS * len(page) if is_piece else STEPS
    address, size = np.frombuffer(page, np.uint8).ctypes.data, len(page)
    places = np.empty(_USUAL_PLACES, np.int64)
    mistakes = ZERO * page.count(b"\0") if b"\0" in page else 0  # most pages have none
    unusual, count, body, templates = _survey(address, size, steps, places)
    if count > len(places):
        places = np.empty(count, np.int64)
        _survey(address, size, steps, places)
    unusual = unusual or mistakes > FEW_MISTAKES
    limit = _excess(address, size, steps, mistakes) if unusual else ""
    return Survey(limit, tuple(places[:count].tolist()), body, templates)


def _excess(address: int, size: int, steps: int, mistakes: int) -> str:
    stack, formats = np.empty(LEVELS, np.int64), np.empty((FORMATS, 2), np.int64)
    unknown = np.zeros(_TABLE, np.int64)
    scanned = _scan(address, size, steps, mistakes, _HASHES, _KINDS, unknown, stack, formats)
    return REASONS[scanned]


@compiled
def _survey(start: int, size: int, most_steps: int, places: Integers) -> tuple[bool, int, int, int]:
    """Tell whether a page might exceed a limit, and fill the rest of a Survey.

    It takes a tenth of the time of a full scan. Few tags cannot nest deep. Few tags with few
    formatting elements among them cannot become many. A tag of many attributes or mistakes is long,
    so it is looked at only if no other tag follows soon.
    """
    stop = start + size
    tags = formats = noscripts = templates = comparisons = mistakes = int64(0)
    body = int64(-1)
    at = _find(start, stop, _LESS)
    while at + 3 < stop:
        tags += 1
        first, second = int64(byte_at(at + 1)) | 32, int64(byte_at(at + 2)) | 32
        if second == 32:
            formats += first == 98 or first == 105 or first == 115 or first == 117  # b i s u
        elif second == 109 or second == 111 or second == 116 or second == 105:
            formats += (  # em sm(all), fo(nt) co(de) no(br), tt st(rong), bi(g)
                first == 101 or first == 115 or first == 102 or first == 99 or first == 110
                or first == 116 or first == 98
            )  # fmt: skip
            if first == 98 and body < 0 and second == 111 and _is_name(at + 1, stop, _BODY):
                body = at - start
        if (first == 110 or first == _SLASH) and _is_name(
            at + 1 + (first == _SLASH), stop, _NOSCRIPT
        ):
            if noscripts < len(places):
                places[noscripts] = at - start
            noscripts += 1
        templates += first == 116 and second == 101 and _is_name(at + 1, stop, _TEMPLATE)
        after = _find(at + 1, stop, _LESS)
        if after - at > LONG_TAG:
            loose = _tag_end(at + 1, after)[2]
            comparisons += loose * loose // 4  # two bytes may be an attribute
            mistakes += loose
        at = after
    unusual = comparisons > COMPARISONS or mistakes > FEW_MISTAKES
    unusual = unusual or tags * tags > 2 * most_steps or tags * formats > NODES
    return unusual, noscripts, body, templates


@compiled
def _is_name(at: int, stop: int, name: Bytes) -> bool:
    """Tell whether a tag at a place has a name, in any case."""
    if at + len(name) >= stop:
        return False
    for place in range(len(name)):
        if int64(byte_at(at + place)) | 32 != name[place]:
            return False
    end = int64(byte_at(at + len(name)))
    return end <= 32 or end in (_SLASH, _MORE)


@compiled
def _scan(
    start: int,
    size: int,
    most_steps: int,
    mistakes: int,
    hashes: Integers,
    kinds: Bytes,
    unknown: Integers,  # names of no known element, at their places
    stack: Integers,
    formats: Integers,
) -> int:
    """Count the costs of a page, and return which one exceeds its limit."""
    hashes, kinds, unknown, stack, formats = (
        borrowed(hashes), borrowed(kinds), borrowed(unknown), borrowed(stack), borrowed(formats),
    )  # fmt: skip
    stop = start + size
    depth = active = steps = comparisons = nodes = int64(0)
    at = _find(start, stop, _LESS)
    while at + 1 < stop:
        at += 1
        first = int64(byte_at(at))
        closes = first == _SLASH
        if closes:
            at += 1
            first = int64(byte_at(at)) if at < stop else 0
        if not 97 <= first | 32 <= 122:
            nodes += first in (_BANG, _ASK) or closes
            mistakes += 1
            at = _find(_after_comment(at, stop) if first == _BANG else at, stop, _LESS)
            continue
        name, at = _name(at, stop)
        kind = kinds[name & _TABLE - 1] if hashes[name & _TABLE - 1] == name else _OTHER
        begun = at
        at, attributes, loose = _tag_end(at, stop)
        mistakes += IN_TAG * loose
        steps += depth
        if closes:
            nodes += attributes + (name in (_P, _BR))  # which are made without a start tag
            depth = _close(stack, depth, name, kind in (_FORMAT, _LINK))
            active = _forget(formats, active, name) if kind == _FORMAT else active
        else:
            nodes += 1 + attributes + active + UNKNOWN * (kind == _OTHER and _is_new(name, unknown))
            comparisons += attributes * attributes
            alone = kind == _OTHER and at > begun and int64(byte_at(at - 1)) == _SLASH
            if kind == _RAW:
                at = _raw_end(at, stop, name)
            elif kind != _VOID and kind != _IMPLIED and not alone:
                if depth == LEVELS:
                    return DEPTH
                stack[depth] = name
                depth += 1
            if kind == _FORMAT:
                if active == FORMATS:
                    return NODE_COUNT
                active = _activate(formats, active, name, begun, at)
        found = _exceeded(steps - most_steps, comparisons, nodes + mistakes // MISTAKES)
        if found:
            return found
        at = _find(at, stop, _LESS)
    return _exceeded(steps - most_steps, comparisons, nodes + mistakes // MISTAKES)


@compiled
def _is_new(name: int, unknown: Integers) -> bool:
    """Remember a name, and tell whether its place held another."""
    place = name & _TABLE - 1
    before, unknown[place] = unknown[place], name
    return bool(before != name)


@compiled
def _exceeded(excess_steps: int, comparisons: int, nodes: int) -> int:
    """Which cost of a page exceeds its limit."""
    if excess_steps > 0:
        return DEPTH
    if comparisons > COMPARISONS:
        return ATTRIBUTES
    return NODE_COUNT if nodes > NODES else FINE


@compiled
def _find(at: int, stop: int, byte: int) -> int:
    """Place of the next such byte, or `stop`; sixteen bytes at a time."""
    pattern = np.uint64(byte) * _ONES
    while at + 16 <= stop:
        found, second = _equal(at, pattern), _equal(at + 8, pattern)
        if found | second:
            if not found:
                at += 8
                found = second
            lowest = (found & (~found + np.uint64(1))) >> np.uint64(7)
            return at + int64(lowest * np.uint64(0x0001020304050607) >> np.uint64(56))
        at += 16
    while at < stop and int64(byte_at(at)) != byte:
        at += 1
    return at


@compiled
def _equal(at: int, pattern: np.uint64) -> np.uint64:
    """Of eight bytes, the high bit of the first that equals the pattern's; 0 without one."""
    word = np.uint64(word_at(at)) ^ pattern
    return (word - _ONES) & ~word & _HIGH


@compiled
def _name(at: int, stop: int) -> tuple[int, int]:
    """Hash of a tag's name in lower case, and where it ends."""
    found = int64(0)
    while at < stop:
        byte = int64(byte_at(at))
        if byte <= 32 or byte in (_MORE, _SLASH):
            break
        lower = byte | 32 if 65 <= byte <= 90 else byte
        found = (found * _FACTOR + lower) & _BITS
        at += 1
    return found, at


@compiled
def _tag_end(at: int, stop: int) -> tuple[int, int, int]:
    """Place of the tag's ">", about how many attributes it has, and bytes outside quotes."""
    attributes, bare, begun = int64(0), int64(0), at
    while True:
        at = _find_any(at, stop)
        if at >= stop or int64(byte_at(at)) == _MORE:
            return at, attributes + _loose(begun, at), bare + at - begun
        before = at - 1
        while before > begun and int64(byte_at(before)) <= 32:
            before -= 1
        if int64(byte_at(before)) == _EQUALS:  # else it is a character of a name or a value
            attributes += 1 + _loose(begun, at)
            bare += at - begun
            at = begun = min(_find(at + 1, stop, int64(byte_at(at))), stop - 1)
        at += 1


@compiled
def _find_any(at: int, stop: int) -> int:
    """Place of the next ">" or quote, or `stop`; eight bytes at a time."""
    while at + 8 <= stop and not (
        _equal(at, _MORES) | _equal(at, _QUOTE_MARKS) | _equal(at, _APOSTROPHES)
    ):
        at += 8
    while at < stop:
        byte = int64(byte_at(at))
        if byte in (_MORE, _QUOTE, _APOSTROPHE):
            return at
        at += 1
    return stop


@compiled
def _loose(at: int, stop: int) -> int:
    """Number of attributes in a stretch without quoted values; none in a short one."""
    found = int64(0)
    if stop - at > SHORT:
        inside = False
        while at < stop:
            parts = int64(byte_at(at)) <= 32 or int64(byte_at(at)) == _SLASH
            found += inside and parts
            inside = not parts
            at += 1
    return found


@compiled
def _after_comment(at: int, stop: int) -> int:
    """Where a comment ends that begins with the "!" at a place; other declarations end with ">"."""
    if at + 2 < stop and int64(byte_at(at + 1)) == _DASH and int64(byte_at(at + 2)) == _DASH:
        at += 1
        while at < stop:
            at = _find(at, stop, _MORE)
            if at < stop and int64(byte_at(at - 1)) == _DASH and int64(byte_at(at - 2)) == _DASH:
                return at
            at += 1
        return stop
    return _find(at, stop, _MORE)


@compiled
def _raw_end(at: int, stop: int, name: int) -> int:
    """Where the end tag of an element begins whose content is no markup."""
    while at < stop:
        at = _find(at, stop, _LESS)
        if at + 2 < stop and int64(byte_at(at + 1)) == _SLASH and _name(at + 2, stop)[0] == name:
            return at
        at += 1
    return stop


@compiled
def _close(stack: Integers, depth: int, name: int, alone: bool) -> int:
    """Number of open elements after an end tag.

    What lies within the element is closed with it, unless the element is closed alone: the blocks
    within a formatting element stay open (HTML Standard, 13.2.6.4.7, adoption agency).
    """
    for level in range(depth - 1, max(depth - 1 - SEARCHED, -1), -1):
        if stack[level] == name:
            if not alone:
                return int64(level)
            for above in range(level, depth - 1):
                stack[above] = stack[above + 1]
            return depth - 1
    return depth


@compiled
def _activate(formats: Integers, active: int, name: int, begun: int, end: int) -> int:
    """Number of active formatting elements after a start tag; three equal ones are kept."""
    digest, same = name, int64(0)
    while begun < end:
        digest = (digest * _FACTOR + int64(byte_at(begun))) & _BITS
        begun += 1
    for place in range(active):
        same += formats[place, 1] == digest
    if same >= 3:
        return active
    formats[active, 0], formats[active, 1] = name, digest
    return active + 1


@compiled
def _forget(formats: Integers, active: int, name: int) -> int:
    """Number of active formatting elements after an end tag."""
    for place in range(active - 1, -1, -1):
        if formats[place, 0] == name:
            for later in range(place, active - 1):
                formats[later, 0], formats[later, 1] = formats[later + 1, 0], formats[later + 1, 1]
            return active - 1
    return active


@compiled
def _encoded_twice(start: int, size: int) -> int:
    """Return the first place where the bytes of one character were read as windows-1252, or -1."""
    stop = start + size
    at = _find(start, stop, _LEAD)
    while at + 1 < stop:
        second = int64(byte_at(at + 1))
        if 0x82 <= second <= 0xAF:
            follower = _follower(at + 2, stop)
            if follower and (second < 0xA0 or _follower(at + 2 + follower, stop)):
                return at - start
        at = _find(at + 1, stop, _LEAD)
    return int64(-1)


@compiled
def _follower(at: int, stop: int) -> int:
    """Bytes of a character that is a byte from 0x80 to 0xBF in windows-1252; 0 for another."""
    if at + 2 > stop:
        return 0
    first, second = int64(byte_at(at)), int64(byte_at(at + 1))
    if first == 0xE2:
        return 3 if second in (0x80, 0x82, 0x84) and at + 3 <= stop else 0
    found = (
        first == 0xC2
        or (first == 0xCB and second in (0x86, 0x9C))
        or (first == 0xC6 and second == 0x92)
        or (first == 0xC5 and second in (0x92, 0x93, 0xA0, 0xA1, 0xB8, 0xBD, 0xBE))
    )
    return 2 if found else 0


def encoded_twice(page: bytes, start: int = 0) -> int:
    """Return the next place from `start` where a page in UTF-8 was encoded twice, or -1."""
    if page.isascii():
        return -1
    found = int(
        _encoded_twice(np.frombuffer(page, np.uint8).ctypes.data + start, len(page) - start)
    )
    return found if found < 0 else start + found


# Compiled on import, so that compiling counts against no page's time limit.
survey(b"<p>")
_excess(np.frombuffer(b"<p>", np.uint8).ctypes.data, 3, 0, 0)
encoded_twice("ä".encode())
