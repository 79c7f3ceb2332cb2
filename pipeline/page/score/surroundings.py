"""What a block says and what lies around it.

The words: labels over a block, how its text sounds, what the page says twice. The places: the list
of cards it is in, the page's title, the main element.

A label is a short text such as "Reviews", "Related articles" or "Privacy preferences". Its groups
of words (label_words.yaml) are features of the block itself, of the blocks after it until the next
heading, and of all blocks of an element that begins with it. Cards are elements of one shape side
by side, such as the rows of a thread list or the tiles of a shop. Their blocks see the whole list,
so that cards are judged as a group.

A word is a run of letters, or two neighbouring letters of a script without spaces. How a text
sounds is the sum of learnt weights of its words and pairs of words: weights of words that stand in
the main text of many domains are positive, those of words such as "subscribe" are negative. A text
is said before if earlier blocks hold its runs of words, such as the teaser of an article below it.
"""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from benben.pipeline.compiled import Bytes, Floats, Integers, borrowed, called, compiled, int64
from benben.pipeline.hash_tables import (
    Table,
    find_slot,
    look_up,
    make_table,
    slot_bits,
)
from benben.pipeline.page.dom.columns import (
    CHARS,
    ELEMENT,
    END,
    FIRST,
    FLAGS,
    PARENT,
    START,
    STOP,
    TAG,
)
from benben.pipeline.page.dom.elements import FIRST_BIT, GROUPS, tag_id
from benben.pipeline.page.dom.lexbor import hash_name

_GROUPS: dict[str, list[str]] = yaml.safe_load(
    (resources.files("benben.pipeline.page.score") / "label_words.yaml").read_text(encoding="utf-8")
)
LABELS = tuple(_GROUPS)
_COMMENT = 1 << LABELS.index("comment")  # among the groups of labels
_COMMENT_CLASS = 1 << FIRST_BIT + GROUPS.index("comment")  # among the flags of elements
LABEL_CHARS = 60  # a label has at most these
_COMMENTS = 0.9  # nor a part for comments of more
_SECTION = 0.7  # a label stands over an element of at most this share of the page


def _word_table() -> Table:
    found: dict[int, int] = {}
    for number, words in enumerate(_GROUPS.values()):
        for word in words:
            # ASCII letters are lowered when text is read.
            for form in {_ascii_lower(form) for form in (word, word.capitalize(), word.upper())}:
                key = hash_name(form)
                found[key] = found.get(key, 0) | 1 << number
    return make_table(np.array(list(found), np.int64), np.array(list(found.values()), np.int64))


def _ascii_lower(word: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in word)


WORDS = _word_table()


@compiled
def count_words(row: Floats, first: int, keys: Integers, words: Table) -> int:
    """Write how much of a text is words of each group; return the groups that occur, as bits."""
    count = len(LABELS)
    row[first : first + count] = 0
    found = int64(0)
    for place in range(len(keys)):
        found |= _enter(row, first, look_up(words, keys[place]))
    scale = 1 / (1 + len(keys) / 8)
    if found:
        for group in range(count):
            row[first + group] = min(row[first + group], 4) * scale
    return found


@compiled
def _enter(row: Floats, first: int, bits: int) -> int:
    """Count a word for its groups."""
    rest, group = bits, 0
    while rest:
        if rest & 1:
            row[first + group] += 1
        rest >>= 1
        group += 1
    return bits


@called
def write_headings(
    rows: Floats, first: int, bits: Integers, is_heading: Integers, lengths: Integers
) -> None:
    """Write the groups of the heading before each block, and how far back it lies."""
    last, distance = int64(0), 0
    count = len(LABELS)
    for number in range(len(rows)):
        if is_heading[number] and lengths[number]:
            last, distance = bits[number], 0
        _spread(rows[number], first, last)
        rows[number, first + count] = np.log1p(distance) if distance < 1000 else 7.0
        distance += 1


@called
def write_sections(
    rows: Floats, first: int, bits: Integers, elements: Integers, blocks: Integers
) -> None:
    """Write the groups of the labels that the elements around each block begin with."""
    inside = np.zeros(len(elements), np.int64)
    total = max(1, blocks[:, CHARS].sum())
    ends = np.append(0, np.cumsum(blocks[:, CHARS]))
    for element in range(1, len(elements)):
        start, end = elements[element, FIRST], elements[element, END]
        inside[element] = inside[elements[element, PARENT]]
        if ends[end] - ends[start] > _SECTION * total:
            continue
        seen, place = 0, start
        while place < min(end, start + 4) and seen < 2 and end - start > 1:
            if blocks[place, CHARS]:
                seen += 1
                inside[element] |= bits[place]
            place += 1
    for number in range(len(rows)):
        _spread(rows[number], first, inside[blocks[number, ELEMENT]])


@called
def reader_comments(
    elements: Integers, blocks: Integers, bits: Integers, is_heading: Integers, title: int
) -> NDArray[np.bool_]:
    """Tell which blocks lie in a part for readers' comments.

    Such a part is an element whose class or id says so, or what follows a heading such as "3
    comments" in the smallest element around it that holds more. It never holds the page's title
    (`title`: its block, or -1).
    """
    inside, found = np.zeros(len(elements), np.bool_), np.zeros(len(blocks), np.bool_)
    total = max(1, blocks[:, CHARS].sum())
    ends = np.append(0, np.cumsum(blocks[:, CHARS]))
    for element in range(1, len(elements)):
        start, end = elements[element, FIRST], elements[element, END]
        small = ends[end] - ends[start] <= _COMMENTS * total and not start <= title < end
        named = elements[element, FLAGS] & _COMMENT_CLASS != 0
        inside[element] = inside[elements[element, PARENT]] or (named and small)
    behind = 0  # the block after the part that a heading began
    for number in range(len(blocks)):
        element = blocks[number, ELEMENT]
        if is_heading[number] and bits[number] & _COMMENT and number != title:
            while element and elements[element, END] - elements[element, FIRST] == 1:
                element = elements[element, PARENT]
            if not elements[element, FIRST] <= title < elements[element, END]:
                behind = max(behind, elements[element, END])
        found[number] = inside[blocks[number, ELEMENT]] or number < behind
    return found


@compiled
def _spread(row: Floats, first: int, bits: int) -> None:
    """Write bits as features."""
    for group in range(len(LABELS)):
        row[first + group] = bits >> group & 1


# Lists of cards, and the way to the title and to the main element.

CARD = ("cards", "place", "share", "link_share", "prose", "chars", "block", "levels")
CARDS = 2  # the nearest card, and the nearest of several blocks
RELATION = ("inside", "up", "down", "share")
TITLE_PLACE = ("title", "after_title", "title_distance")
_FEWEST = 3  # elements that make a list of cards
_H1 = tag_id("h1")
_SHAPE = 0x100000001B3


@called
def shapes(elements: Integers, keys: Integers) -> None:
    """Write a key of each element that its siblings of the same tag and class words share."""
    for element in range(len(elements)):
        own = (elements[element, FLAGS] >> FIRST_BIT) * 512 + elements[element, TAG]
        keys[element] = int64((own + 1) * _SHAPE ^ elements[element, PARENT] * 0x9E3779B1)


@called
def number_cards(
    elements: Integers, siblings: Integers, counts: Integers, blocks: int
) -> tuple[Integers, Integers]:
    """Return for each element the card of at least so many blocks around it, and its place."""
    cards, places = np.zeros(len(elements), np.int64), np.zeros(len(elements), np.int64)
    seen = np.zeros(len(elements), np.int64)
    for element in range(1, len(elements)):
        inside = elements[element, END] - elements[element, FIRST]
        places[element] = seen[siblings[element]]
        seen[siblings[element]] += inside > 0
        if counts[element] >= _FEWEST and inside >= blocks:
            cards[element] = element
        else:
            cards[element] = cards[elements[element, PARENT]]
    return cards, places


@called
def write_cards(
    rows: Floats,
    first: int,
    elements: Integers,
    blocks: Integers,
    sums: Floats,  # of characters, linked characters and prose over the blocks before
    siblings: Integers,  # number of each element's group of siblings
    counts: Integers,  # elements with blocks in that group
    least: int,  # blocks of a card
) -> None:
    """Write the nearest card around each block, in the order of CARD."""
    cards, places = number_cards(elements, siblings, counts, least)
    totals = np.zeros((len(elements), 3))
    for element in range(1, len(elements)):
        for name in range(3):
            totals[siblings[element], name] += (
                sums[elements[element, END], name] - sums[elements[element, FIRST], name]
            )
    everything = max(1.0, sums[-1, 0])
    for number in range(len(rows)):
        card, row = cards[blocks[number, ELEMENT]], rows[number]
        row[first : first + len(CARD)] = 0
        if card:
            total, size = totals[siblings[card]], counts[card]
            some = max(1.0, total[0])
            row[first] = np.log1p(size)
            row[first + 1] = places[card] / size
            row[first + 2], row[first + 3] = total[0] / everything, total[1] / some
            row[first + 4], row[first + 5] = total[2] / some, np.log1p(total[0] / size)
            row[first + 6] = np.log1p(number - elements[card, FIRST])
            element = blocks[number, ELEMENT]
            while element != card:
                row[first + 7] += 0.1
                element = elements[element, PARENT]


@called
def title_block(elements: Integers, blocks: Integers) -> int:
    """Return the first block in an h1, or -1."""
    for number in range(len(blocks)):
        if blocks[number, CHARS] and elements[blocks[number, ELEMENT], TAG] == _H1:
            return int64(number)
    return -1


@called
def main_element(elements: Integers, blocks: Integers, prose: Floats) -> int:
    """Return the element with the most prose in its children, or 0.

    As Readability scores candidates: an element's prose counts for its parent, and half for that
    one's parent. `prose`: running sums over the blocks before.
    """
    scores = np.zeros(len(elements))
    for number in range(len(blocks)):
        parent = elements[blocks[number, ELEMENT], PARENT]
        chars = prose[number + 1] - prose[number]
        scores[parent] += chars
        scores[elements[parent, PARENT]] += chars / 2
    return int64(np.argmax(scores)) if scores.max() > 0 else int64(0)


@called
def write_relation(
    rows: Floats, first: int, elements: Integers, blocks: Integers, chars: Floats, anchor: int
) -> None:
    """Write how each block lies to an element, in the order of RELATION; zeros without one.

    The smallest element around both counts: how far it lies above each, and its share of the page.
    """
    up = np.full(len(elements), -1)  # levels above the anchor, of the elements around it
    element, levels = anchor, 0
    while element:
        up[element] = levels
        element = elements[element, PARENT]
        levels += 1
    up[0] = levels
    for number in range(len(rows)):
        row = rows[number]
        row[first : first + len(RELATION)] = 0
        if anchor:
            element, climbed = blocks[number, ELEMENT], 0
            while up[element] < 0:
                element = elements[element, PARENT]
                climbed += 1
            row[first] = up[element] == 0
            row[first + 1], row[first + 2] = climbed / 10, up[element] / 10
            inside = chars[elements[element, END]] - chars[elements[element, FIRST]]
            row[first + 3] = inside / max(1.0, chars[-1])


@called
def write_title_place(rows: Floats, first: int, title: int) -> None:
    """Write how each block lies to the block of the title, in reading order."""
    for number in range(len(rows)):
        row = rows[number]
        row[first] = title >= 0
        row[first + 1] = title >= 0 and number >= title
        row[first + 2] = np.log1p(abs(number - title)) if title >= 0 else 0.0


# Words: how texts sound, and what the page says twice.

READ = 300  # bytes of a text whose words are read
_MOST = 1 << 17  # words of a page that are read
SCALE = 1024  # weights of words are whole numbers: a weight of 1 is stored as this
NEAR = (1, 3, 8)  # blocks to each side
UP = 3  # elements around
WORDING = (
    "wording", *(f"wording_near{size}" for size in NEAR), "wording_page",
    *(f"wording_up{level + 1}" for level in range(UP)),
)  # fmt: skip
SAID = ("said_before", "said_after")
_RUN = 4  # words that two texts have in common
_SEED, _PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a


class Words(NamedTuple):
    """Keys of the words of a page's blocks."""

    keys: Integers
    starts: Integers  # row of the first word of each block, and the number of words


NO_WEIGHTS = make_table(np.zeros(0, np.int64), np.zeros(0, np.int16))


@compiled
def read_words(blocks: Integers, text: Bytes) -> Words:
    """Read the words at the beginning of each block, until a page has given its share."""
    size, room = len(blocks), int64(0)
    for number in range(size):
        room += min(blocks[number, STOP] - blocks[number, START], READ) // 2 + 1
    keys, starts = np.empty(min(room, _MOST), np.int64), np.zeros(size + 1, np.int64)
    out, known = borrowed(keys), int64(0)
    for number in range(size):
        start = blocks[number, START]
        part = text[start : min(blocks[number, STOP], start + READ)]
        known += _read(part, out[known:])
        starts[number + 1] = known
    return Words(keys[:known], starts)


@compiled
def _read(text: Bytes, keys: Integers) -> int:
    """Write the keys of a text's words until there is no more room; return their number."""
    number, size = int64(0), len(text)
    word, letters, before = np.uint64(_SEED), 0, -1  # `before`: where the letter before begins
    place = 0
    while place <= size and number < len(keys):
        byte = int64(text[place]) if place < size else 32
        step = 1
        if 0xE3 <= byte <= 0xED and place + 3 <= size:  # a letter of a script without spaces
            step = 3
            if before >= 0:
                keys[number] = _pair(text, before)
                number += 1
            before = place
        else:
            before = -1
        letter = byte + 32 if 65 <= byte <= 90 else byte
        if step == 1 and (97 <= letter <= 122 or byte >= 0x80):
            word = (word ^ np.uint64(letter)) * np.uint64(_PRIME)
            letters += 1
        elif letters and number < len(keys):
            keys[number] = int64(word | np.uint64(1))
            number += 1
            word, letters = np.uint64(_SEED), 0
        place += step
    return number


@compiled
def _pair(text: Bytes, place: int) -> int:
    """Hash two letters of three bytes each."""
    word = np.uint64(_SEED)
    for byte in range(place, place + 6):
        word = (word ^ np.uint64(text[byte])) * np.uint64(_PRIME)
    return int64(word | np.uint64(1))


@compiled
def pair_key(first: int, second: int) -> int:
    """Key of two neighbouring words."""
    return int64((first * 31 + second) | 1)  # may overflow


@called
def write_wording(
    rows: Floats, first: int, elements: Integers, blocks: Integers, words: Words, weights: Table
) -> None:
    """Write how each block, the blocks near it and the elements around it sound."""
    size = len(rows)
    chars, sums = np.zeros(size + 1), np.zeros(size + 1)
    for number in range(size):
        own = sound(words.keys[words.starts[number] : words.starts[number + 1]], weights)
        share = np.sqrt(np.float64(blocks[number, CHARS]))
        chars[number + 1], sums[number + 1] = chars[number] + share, sums[number] + share * own
        rows[number, first] = own
    for number in range(size):
        row, column = rows[number], first + 1
        for place in range(len(NEAR)):
            low, high = max(number - NEAR[place], 0), min(number + NEAR[place] + 1, size)
            row[column] = _mean(sums, chars, low, high)
            column += 1
        row[column] = _mean(sums, chars, 0, size)
        element = blocks[number, ELEMENT]
        for level in range(UP):
            element = elements[element, PARENT]
            low, high = elements[element, FIRST], elements[element, END]
            row[column + 1 + level] = _mean(sums, chars, low, high)


@compiled
def _mean(sums: Floats, chars: Floats, low: int, high: int) -> float:
    return float((sums[high] - sums[low]) / (chars[high] - chars[low] + 0.01))


@compiled
def sound(keys: Integers, weights: Table) -> float:
    """Sum of the weights of words and of pairs, over the root of their number."""
    total = int64(0)
    for place in range(len(keys)):
        total += look_up(weights, keys[place])
        if place:
            total += look_up(weights, pair_key(keys[place - 1], keys[place]))
    number = max(1, 2 * len(keys) - 1)
    return float(total / (SCALE * np.sqrt(number)))


@called
def write_said(rows: Floats, first: int, words: Words) -> None:
    """Write which share of the runs of words of each block earlier and later blocks hold."""
    size = len(rows)
    bits = slot_bits(len(words.keys))
    runs_known, firsts = np.zeros(1 << bits, np.int64), np.zeros(1 << bits, np.int64)
    lasts = np.zeros(1 << bits, np.int64)
    known = Table(borrowed(runs_known), borrowed(firsts), bits)
    for number in range(size):
        for place in range(words.starts[number], words.starts[number + 1] - _RUN + 1):
            key = _run_key(words.keys, place)
            slot = find_slot(known, key)
            if not known.keys[slot]:
                known.keys[slot], known.values[slot] = key, number
            lasts[slot] = number
    for number in range(size):
        runs = before = after = 0
        for place in range(words.starts[number], words.starts[number + 1] - _RUN + 1):
            slot = find_slot(known, _run_key(words.keys, place))
            runs += 1
            before += known.values[slot] < number
            after += lasts[slot] > number
        rows[number, first], rows[number, first + 1] = before / max(1, runs), after / max(1, runs)


@compiled
def _run_key(keys: Integers, place: int) -> int:
    key = keys[place]
    for other in range(place + 1, place + _RUN):
        key = int64(key * 31 + keys[other])  # may overflow
    return int64(key | 1)
