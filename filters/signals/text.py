"""The text of a batch of documents as one array of code points, cut into paragraphs.

A paragraph is what OBELICS filters: a stretch of a text node between blank lines. With one array
for a whole batch, a signal takes a few passes over it, however many paragraphs there are. Every
character is classified once, by a table look-up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar
from unicodedata import category

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benben.common import hashing
from benben.common.hashing import Hashes
from benben.pipeline.compiled import Bytes, borrowed, compiled, int64
from benben.pipeline.settings.signals import SignalSettings

T = TypeVar("T")
Integers = NDArray[np.int64]
Codes = NDArray[np.uint32]
Classes = NDArray[np.uint16]

BLANK_LINE = re.compile("\n{2,}")
_BASE = np.uint64(0xD6E8FEB86659FD93)  # odd, so it has an inverse modulo 2**64
_INVERSE = pow(int(_BASE), -1, 1 << 64)

# Classes of characters.
SPACE = 1 << 0
SPECIAL = 1 << 1  # white space, digits, punctuation, symbols, emoji (OBELICS's special characters)
PUNCTUATION = 1 << 2
WORD = 1 << 3  # \w, combining marks and apostrophes: what punctuation is counted against
CONTINUOUS = 1 << 4  # scripts written without spaces between words
MARK = 1 << 5  # combining mark: belongs to the character before it
UPPER = 1 << 6
ALPHA = 1 << 7
DIGIT = 1 << 8
NEWLINE = 1 << 9
TERMINAL = 1 << 10  # ends a sentence
BLANK = 1 << 11  # white space to str.isspace()

TABLE_SIZE = 0x20000  # beyond it lie ideographs and hardly anything else
# Han, Hiragana, Katakana, Thai, Lao, Myanmar, Khmer (Unicode 15, blocks)
_CONTINUOUS_RANGES = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3031, 0x3035),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF),
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
)
_SPACE_LIKE = "\ufffc\u0084\u200b\ufeff\u0f0b"  # blank in print; the last: Tibetan
_JOINERS = "\u200c\u200d"  # shape the letters inside Persian and Indic words

_EVERY = np.arange(TABLE_SIZE, dtype=np.uint32).view("U1")  # every character of the tables
_NEWLINE, _SPACE = ord("\n"), ord(" ")
_GAMMA = np.uint64(hashing.GOLDEN_GAMMA)
_mix64 = compiled(hashing.mix64)


@compiled
def splitmix64(value: np.uint64) -> np.uint64:
    """Hash one value as `hashing.splitmix64` does."""
    return _mix64(value + _GAMMA)


class Batch:
    """A batch of DOCUMENTS to measure, with its text laid out: what signals are computed from."""

    def __init__(self, documents: pa.RecordBatch, settings: SignalSettings) -> None:
        self.documents = documents
        self.settings = settings
        self.tables = character_tables(settings.punctuation, settings.terminal)
        nodes = documents.column("nodes")
        self.nodes: pa.StructArray = nodes.flatten()  # of all documents, one after the other
        self.node_documents: Integers = pc.list_parent_indices(nodes).to_numpy(zero_copy_only=False)
        self.text = self._lay_out()
        rows = np.arange(documents.num_rows + 1)
        self.first = np.searchsorted(self.text.document, rows)  # paragraph of each document; end
        self._known: dict[Callable[[Batch], Any], Any] = {}

    def __len__(self) -> int:
        return int(self.documents.num_rows)

    def once(self, work: Callable[[Batch], T]) -> T:
        """Return `work(batch)`, computed at the first call: what several signals share."""
        if work not in self._known:
            self._known[work] = work(self)
        found: T = self._known[work]
        return found

    def _lay_out(self) -> Paragraphs:
        """Lay out the text nodes."""
        is_text = pc.fill_null(pc.equal(self.nodes.field("kind"), "text"), False)
        where = np.flatnonzero(is_text.to_numpy(zero_copy_only=False))
        texts = self.nodes.field("text").take(pa.array(where))
        first_node = np.searchsorted(self.node_documents, np.arange(len(self)))
        document = self.node_documents[where].astype(np.int64)
        return lay_out(texts, document, where - first_node[document], len(self), self.tables)

    def images(self) -> pa.StructArray:
        """Return the image nodes of all documents, one after the other."""
        return self.once(_images)[0]

    def image_documents(self) -> Integers:
        """Return the row of each image's document."""
        return self.once(_images)[1]

    def paragraphs(self) -> list[str]:
        """Return the text of each paragraph of the batch."""
        return [self.text.paragraph(row) for row in range(len(self.text))]

    def pages(self, most: int | None = None) -> list[str]:
        """Return the text of each document: its text nodes, joined by blank lines.

        `most`: number of characters after which to cut it; none: all.
        """
        starts, ends = self.text.starts.tolist(), self.text.ends.tolist()
        limit = len(self.text.codes) if most is None else most
        return [
            self.text.between(starts[begin], min(ends[end - 1], starts[begin] + limit))
            if begin < end
            else ""
            for begin, end in pairwise(self.first.tolist())
        ]


def _images(batch: Batch) -> tuple[pa.StructArray, Integers]:
    is_image = pc.equal(batch.nodes.field("kind"), "image").to_numpy(zero_copy_only=False)
    where = np.flatnonzero(is_image)
    return batch.nodes.take(pa.array(where)), batch.node_documents[where]


@dataclass(slots=True)
class Paragraphs:
    """Text of a batch; `starts` and `ends` are positions in `codes`, one pair per paragraph."""

    codes: Codes
    classes: Classes
    hashes: Hashes  # running sums: see `window_hashes`
    starts: Integers
    ends: Integers
    document: Integers  # row of the paragraph's document
    node: Integers  # the node's position in its document's list of nodes
    number: Integers  # of the paragraph in its node, from 0
    documents: int

    def __len__(self) -> int:
        return len(self.starts)

    def between(self, start: int, end: int) -> str:
        """Return the characters of a stretch."""
        return self.codes[start:end].tobytes().decode("utf-32-le")

    def paragraph(self, row: int) -> str:
        """Return the text of a paragraph."""
        return self.between(int(self.starts[row]), int(self.ends[row]))

    def count(self, mask: NDArray[np.bool_], starts: Integers, ends: Integers) -> Integers:
        """Count the characters where a mask is true in each stretch."""
        running = np.zeros(len(mask) + 1, np.int32)
        np.cumsum(mask, dtype=np.int32, out=running[1:])
        return (running[ends] - running[starts]).astype(np.int64)

    def window_hashes(self, starts: Integers, ends: Integers) -> Hashes:
        """64-bit polynomial hashes of the lower-case characters of each stretch."""
        found = np.empty(len(starts), np.uint64)
        _hash_windows(self.hashes, self.powers(), starts, ends, found)
        return found

    def powers(self) -> Hashes:
        """Factors that make a difference of running sums independent of where it starts."""
        return _powers(len(self.codes))

    def of_document(self, values: NDArray[np.generic]) -> Integers:
        """Sum a number of each paragraph over its document."""
        sums = np.bincount(self.document, weights=values, minlength=self.documents)
        return np.asarray(np.rint(sums), np.int64)


def lay_out(
    texts: pa.StringArray, document: Integers, node: Integers, documents: int, tables: Characters
) -> Paragraphs:
    """Join texts (of the given documents and nodes, in order) and cut them into paragraphs."""
    bounds, data = string_buffers(pc.fill_null(texts, ""))
    most = int(bounds[-1] - bounds[0]) + 3 * len(texts)
    codes, classes = np.empty(most, np.uint32), np.empty(most, np.uint16)
    hashes, begins = np.empty(most + 1, np.uint64), np.empty(len(texts), np.int64)
    size = _decode(
        data, bounds, tables.classes, tables.hashes, _BASE, codes, classes, hashes, begins
    )
    codes, classes, hashes = codes[:size], classes[:size], hashes[: size + 1]
    starts, ends, owner, number = (np.empty(size // 3 + 1, np.int64) for _ in range(4))
    found = _cut(classes, begins, starts, ends, owner, number)
    owner = owner[:found]
    return Paragraphs(
        codes=codes,
        classes=classes,
        hashes=hashes,
        starts=starts[:found],
        ends=ends[:found],
        document=document[owner],
        node=node[owner],
        number=number[:found],
        documents=documents,
    )


def string_buffers(strings: pa.StringArray) -> tuple[NDArray[np.int32], Bytes]:
    """Return where each string begins and the last ends, and the bytes of all, without a copy."""
    _, offsets, data = strings.buffers()
    if not len(strings) or data is None or not data.size:
        bounds, found = np.zeros(len(strings) + 1, np.int32), np.zeros(1, np.uint8)
    else:
        bounds = np.frombuffer(offsets, np.int32)[strings.offset :][: len(strings) + 1]
        found = np.frombuffer(data, np.uint8)
    # Some Arrow buffers can be written to, some not: functions are compiled for each kind of array.
    bounds.flags.writeable = found.flags.writeable = False
    return bounds, found


def split(text: str) -> list[str]:
    """Split a node's text into paragraphs, exactly as they are measured."""
    return BLANK_LINE.split(_trim(text))


def _trim(text: str | None) -> str:
    """Strip the newlines at both ends, which would join neighbouring nodes; blank text: a space."""
    return text.strip("\n") if text and not text.isspace() else " "


_inverse_powers = np.ones(1, np.uint64)


def _powers(size: int) -> Hashes:
    """Powers of _INVERSE from 0 to at least `size`."""
    global _inverse_powers
    if len(_inverse_powers) < size + 1:
        factors = np.full(max(size + 1, 1 << 16), _INVERSE, np.uint64)
        factors[0] = 1
        _inverse_powers = np.cumprod(factors)
    return _inverse_powers


class Characters(NamedTuple):
    """Look-up tables by code point, up to `TABLE_SIZE`."""

    classes: Classes
    lower: Codes
    hashes: Hashes  # hash of the lower-case form


@lru_cache(maxsize=4)
def character_tables(punctuation: str, terminal: str) -> Characters:
    """Build the tables, once per process and setting (about 0.1 s)."""
    classes = _class_table()
    lower = np.strings.lower(_EVERY).view(np.uint32)
    lower[ord("İ")] = ord("İ")  # its lower case is two characters
    lower[ord("’")] = ord("'")  # lists spell don't with either
    for first, last in _CONTINUOUS_RANGES:
        block = classes[first : last + 1]
        block[(block & SPECIAL) == 0] |= CONTINUOUS
    for characters, flag in ((punctuation, PUNCTUATION), (terminal, TERMINAL)):
        for character in characters:
            classes[ord(character)] |= flag
    classes[TABLE_SIZE - 1] = WORD | ALPHA | CONTINUOUS  # all beyond: supplementary ideographs
    return Characters(classes, lower, hashing.splitmix64(lower.astype(np.uint64)))


def _class_table() -> Classes:
    """Classes by Unicode properties, without scripts and the marks that the settings list."""
    classes = np.zeros(TABLE_SIZE, np.uint16)
    kinds = np.array([category(chr(code)) for code in range(TABLE_SIZE)])
    marks, digits = np.strings.startswith(kinds, "M"), np.strings.isdecimal(_EVERY)
    special = np.isin(kinds, [kind for kind in np.unique(kinds) if _is_special(kind)])
    for has_property, flags in (
        (np.strings.isspace(_EVERY), SPACE | SPECIAL | BLANK),
        (special | digits, SPECIAL),
        (np.strings.isalnum(_EVERY), WORD),
        (marks, WORD | MARK),
        (np.strings.isupper(_EVERY), UPPER),
        (np.strings.isalpha(_EVERY), ALPHA),
        (digits, DIGIT),
    ):
        classes[has_property] |= flags
    classes[[ord(character) for character in _SPACE_LIKE]] |= SPACE | SPECIAL
    classes[[ord(character) for character in "_'’"]] |= WORD
    classes[ord("\n")] |= NEWLINE
    classes[[ord(character) for character in _JOINERS]] = WORD | MARK
    return classes


def _is_special(kind: str) -> bool:
    """Tell whether a Unicode category is punctuation, symbol, separator or control character."""
    return kind[0] in "PSZC" and kind not in ("Co", "Cs")


@compiled
def _hash_windows(
    running: Hashes, powers: Hashes, starts: Integers, ends: Integers, found: Hashes
) -> None:
    """Write the hash of each stretch: see `Paragraphs.window_hashes`."""
    running, powers = borrowed(running), borrowed(powers)
    for row in range(len(starts)):
        found[row] = (running[ends[row]] - running[starts[row]]) * powers[starts[row]]


@compiled
def _code_at(data: Bytes, place: int) -> tuple[int, int]:
    """Code point of the UTF-8 sequence at a place, and the bytes that it takes."""
    first = int64(data[place])
    if first < 0x80:
        return first, int64(1)
    second = int64(data[place + 1]) & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | second, int64(2)
    third = int64(data[place + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, int64(3)
    fourth = int64(data[place + 3]) & 0x3F
    return (first & 0x07) << 18 | second << 12 | third << 6 | fourth, int64(4)


@compiled
def _decode(
    data: Bytes, bounds: NDArray[np.int32], class_table: Classes, hash_table: Hashes,
    base: np.uint64, codes: Codes, classes: Classes, running: Hashes, begins: Integers,
) -> int:  # fmt: skip
    """Write the characters of UTF-8 texts, two newlines between texts, and how many there are.

    `bounds`: where each text begins in `data`, and the end of the last. Newlines at the ends of a
    text are left out, since they would join neighbours; a blank text is a space. Written for each
    character: its code, classes, and running sums of hashes times growing powers of `base`; for
    each text, where it begins.
    """
    data, codes, classes = borrowed(data), borrowed(codes), borrowed(classes)
    class_table, hash_table = borrowed(class_table), borrowed(hash_table)
    begins, running = borrowed(begins), borrowed(running)
    number, total, power = 0, np.uint64(0), np.uint64(1)
    running[0] = total
    newline, space = int64(_NEWLINE), int64(_SPACE)
    for text in range(len(begins)):
        place, end = int64(bounds[text]), int64(bounds[text + 1])
        while place < end and data[place] == newline:
            place += 1
        while end > place and data[end - 1] == newline:
            end -= 1
        begin, blank, before, power_before = number, True, total, power
        begins[text] = begin
        ahead = 2 if text + 1 < len(begins) else 0  # newlines that follow
        while place < end or blank or ahead:
            if place < end:
                code, size = _code_at(data, place)
                place += size
            elif blank:
                number, total, power, blank, code = begin, before, power_before, False, space
            else:
                ahead, code = ahead - 1, newline
            kind = code if code < TABLE_SIZE - 1 else TABLE_SIZE - 1
            value = hash_table[code] if code < TABLE_SIZE - 1 else splitmix64(np.uint64(code))
            blank = blank and class_table[kind] & BLANK != 0
            codes[number], classes[number] = code, class_table[kind]
            total += value * power
            power *= base
            number += 1
            running[number] = total
    return number


@compiled
def _cut(
    classes: Classes, begins: Integers, starts: Integers, ends: Integers, owner: Integers,
    numbers: Integers,
) -> int:  # fmt: skip
    """Cut texts into the stretches between runs of two or more newlines; return how many.

    `begins`: where each text begins. Written for each stretch: start, end, the row of its text and
    its number there.
    """
    classes, starts, ends = borrowed(classes), borrowed(starts), borrowed(ends)
    begins, owner, numbers = borrowed(begins), borrowed(owner), borrowed(numbers)
    size, number, inside, text, in_text = len(classes), 0, False, -1, 0
    for place in range(size):
        gap = classes[place] & NEWLINE and (
            (place > 0 and classes[place - 1] & NEWLINE)
            or (place + 1 < size and classes[place + 1] & NEWLINE)
        )
        if inside and gap:
            ends[number] = place
            number, inside = number + 1, False
        elif not (inside or gap):
            while text + 1 < len(begins) and begins[text + 1] <= place:
                text, in_text = text + 1, 0
            starts[number], inside = place, True
            owner[number], numbers[number] = text, in_text
            in_text += 1
    if inside:
        ends[number] = size
        number += 1
    return number


# Fixed texts that a pass over characters looks for, each where its rarest character stands, so that
# few places are compared.

# Letters by falling frequency in English text (Norvig 2013); other characters are rarer.
_BY_FREQUENCY = " etaoinsrhldcumfpgwybvkxjqz"
ASCII = 128


class Marks(NamedTuple):
    """Texts to look for; all characters are ASCII."""

    codes: Codes  # (texts, longest + 1), padded with zeros
    anchors: Integers  # place of each text's rarest character
    letters: NDArray[np.bool_]  # (128,): those characters


def make_marks(texts: tuple[str, ...]) -> Marks:
    """Prepare texts for `stands_at`."""
    codes = np.zeros((len(texts), max(map(len, texts)) + 1), np.uint32)
    anchors, letters = np.zeros(len(texts), np.int64), np.zeros(ASCII, np.bool_)
    for row, text in enumerate(texts):
        codes[row, : len(text)] = [ord(character) for character in text]
        anchors[row] = max(range(len(text)), key=lambda place: _rarity(text[place]))
        letters[ord(text[anchors[row]])] = True
    return Marks(codes, anchors, letters)


def _rarity(character: str) -> int:
    place = _BY_FREQUENCY.find(character)
    return len(_BY_FREQUENCY) if place < 0 else place


@compiled
def borrowed_marks(marks: Marks) -> Marks:
    """Texts without reference counts, for the inside of compiled code: see `borrowed`."""
    return Marks(borrowed(marks.codes), borrowed(marks.anchors), borrowed(marks.letters))


@compiled
def stands_at(codes: Codes, place: int, first: int, last: int, marks: Marks) -> bool:
    """Tell whether one of the texts has its rarest character here, between `first` and `last`."""
    for row in range(len(marks.anchors)):
        start, size = place - marks.anchors[row], 0
        if start < first or marks.codes[row, marks.anchors[row]] != codes[place]:
            continue
        while (
            marks.codes[row, size]
            and start + size < last
            and codes[start + size] == marks.codes[row, size]
        ):
            size += 1
        if not marks.codes[row, size]:
            return True
    return False
