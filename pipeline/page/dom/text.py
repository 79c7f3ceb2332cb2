"""Text nodes to blocks, compiled: white space collapsed, lines broken, characters counted."""

from __future__ import annotations

import numpy as np

from benben.pipeline.compiled import byte_at, compiled
from benben.pipeline.page.dom.characters import BREAK, SPACE, WHITE
from benben.pipeline.page.dom.columns import (
    A_TEXT,
    BLOCKS,
    CHARS,
    COUNTS,
    ELEMENT,
    FIRST_CLASS,
    FLAGS,
    HASH,
    KIND,
    LAST_CLASS,
    LINKED,
    PENDING,
    PIECE,
    SOLID,
    START,
    STOP,
    WAS_LINKED,
    WRITTEN,
    Columns,
)
from benben.pipeline.page.dom.elements import PRE, Bytes
from benben.pipeline.page.dom.lexbor import quick_hash

# What lies between the last character and the next: nothing, white space, one <br>, several.
NOTHING, BLANK, ONE_LINE, EMPTY_LINE = range(4)
_SPACE, _NEWLINE = 32, 10
_LAST_CODE = 0xFFFF


@compiled
def decode(address: int, stop: int) -> tuple[int, int]:
    """Code point and bytes of the UTF-8 character at an address, before `stop`."""
    lead = byte_at(address)
    if lead < 0x80:
        return np.int64(lead), 1
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if address + size > stop:
        return _LAST_CODE, stop - address
    code = np.int64(lead) & (0x7F >> size)
    for place in range(1, size):
        code = code << 6 | np.int64(byte_at(address + place)) & 0x3F
    return min(code, _LAST_CODE), size


@compiled
def add_text(
    out: Columns, classes: Bytes, element: int, address: int, length: int, linked: bool
) -> None:
    """Append a text node; `linked` tells whether it lies in a link."""
    at, text = out.at, out.text
    end, pending, stop = at[WRITTEN], at[PENDING], address + length
    in_link = np.int64(linked)
    row = out.blocks[at[BLOCKS]]
    while address < stop:
        code, size = decode(address, stop)
        if classes[code] & WHITE:
            pending = max(pending, BLANK)
            address += size
            continue
        if pending and end > at[PIECE]:
            if pending == EMPTY_LINE:
                at[WRITTEN] = end
                close(out, element, end)
                row = out.blocks[at[BLOCKS]]
            else:
                text[end] = _SPACE if pending == BLANK else _NEWLINE
                end += 1
                row[COUNTS + (SPACE if pending == BLANK else BREAK)] += 1
                row[CHARS] += 1
                row[LINKED] += in_link & at[WAS_LINKED]
        pending = NOTHING
        address, end = _add_word(out, classes, address, stop, end, in_link)
        at[WAS_LINKED] = in_link
    at[WRITTEN], at[PENDING] = end, pending


@compiled
def _add_word(
    out: Columns, classes: Bytes, address: int, stop: int, end: int, in_link: int
) -> tuple[int, int]:
    """Append characters up to white space; where they end, on the page and in `text`."""
    text, row = out.text, out.blocks[out.at[BLOCKS]]
    code, size = decode(address, stop)
    kind = last = classes[code]
    if row[CHARS] == 0:
        row[FIRST_CLASS] = kind
    chars = 0
    while kind & WHITE == 0:
        for place in range(size):
            text[end + place] = byte_at(address + place)
        row[COUNTS + kind] += 1
        chars, last = chars + 1, kind
        address, end = address + size, end + size
        if address >= stop:
            break
        code, size = decode(address, stop)
        kind = classes[code]
    row[LAST_CLASS] = last
    row[CHARS] += chars
    row[LINKED] += chars * in_link
    return address, end


@compiled
def add_preformatted(out: Columns, classes: Bytes, address: int, length: int, linked: bool) -> None:
    """Append a text node as it is written, but for line breaks before all else."""
    at, text = out.at, out.text
    end, stop = at[WRITTEN], address + length
    row = out.blocks[at[BLOCKS]]
    while address < stop:
        code, size = decode(address, stop)
        if code == _NEWLINE and end == at[PIECE]:
            address += size
            continue
        kind = classes[code]
        for place in range(size):
            text[end + place] = byte_at(address + place)
        end += size
        address += size
        if kind & WHITE:
            continue
        _count_blanks(out, classes, at[SOLID], end - size, linked)
        row[LAST_CLASS] = kind
        row[COUNTS + kind] += 1
        row[CHARS] += 1
        row[LINKED] += linked
        at[SOLID] = end
    at[WRITTEN] = end


@compiled
def _count_blanks(out: Columns, classes: Bytes, start: int, stop: int, linked: bool) -> None:
    """Count white space of preformatted text, known not to be the last of its block."""
    row, base = out.blocks[out.at[BLOCKS]], out.text.ctypes.data
    if start == out.at[PIECE]:
        code, _ = decode(base + start, base + len(out.text))
        row[FIRST_CLASS] = classes[code] & ~WHITE
    while start < stop:
        code, size = decode(base + start, base + stop)
        row[COUNTS + (classes[code] & ~WHITE)] += 1
        row[CHARS] += 1
        row[LINKED] += linked
        start += size


@compiled
def break_line(out: Columns, element: int) -> None:
    """A <br>: one breaks the line, more of them the block."""
    at = out.at
    if out.elements[element, FLAGS] & PRE:
        if at[WRITTEN] > at[PIECE]:
            out.text[at[WRITTEN]] = _NEWLINE
            at[WRITTEN] += 1
    else:
        at[PENDING] = EMPTY_LINE if at[PENDING] >= ONE_LINE else ONE_LINE


@compiled
def flush(out: Columns, element: int) -> None:
    """End the text since the last block."""
    at = out.at
    end = at[SOLID] if out.elements[element, FLAGS] & PRE else at[WRITTEN]
    if end > at[PIECE]:
        close(out, element, end)
    else:
        at[PIECE] = at[SOLID] = at[WRITTEN]
    at[PENDING] = NOTHING


@compiled
def close(out: Columns, element: int, end: int) -> None:
    """Make the text written so far a block of an element."""
    at = out.at
    row = out.blocks[at[BLOCKS]]
    row[KIND], row[ELEMENT], row[START], row[STOP] = A_TEXT, element, at[PIECE], end
    row[HASH] = quick_hash(out.text.ctypes.data + at[PIECE], end - at[PIECE])
    at[PIECE] = at[SOLID] = at[WRITTEN]
    at[WAS_LINKED] = 0
    begin_block(out)


@compiled
def begin_block(out: Columns) -> None:
    """Take the next row, whose counts start at nothing."""
    out.at[BLOCKS] += 1
    out.blocks[out.at[BLOCKS]] = 0
