"""Passes over a batch's characters: hashes, paragraphs, words, lines, counts; compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benben.filters.signals.characters import (
    ALPHA,
    CONTINUOUS,
    DIGIT,
    MARK,
    NEWLINE,
    PUNCTUATION,
    SPACE,
    SPECIAL,
    TABLE_SIZE,
    UPPER,
    WORD,
)
from benben.pipeline.compiled import borrowed, compiled

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Codes = NDArray[np.uint32]
Classes = NDArray[np.uint16]
COUNTED = ("special", "punctuation", "tokens", "upper", "digits", "symbols")
_STEP, _BY_30, _BY_27, _BY_31 = (np.uint64(one) for one in (0x9E3779B97F4A7C15, 30, 27, 31))
_FIRST_FACTOR, _SECOND_FACTOR = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_HASH_SIGN, _ELLIPSIS = ord("#"), ord("…")


@compiled
def mixed(value: np.uint64) -> np.uint64:
    """One value as `characters.mix` has it."""
    value = value + _STEP
    value = (value ^ (value >> _BY_30)) * _FIRST_FACTOR
    value = (value ^ (value >> _BY_27)) * _SECOND_FACTOR
    return value ^ (value >> _BY_31)


@compiled
def look_up(
    codes: Codes, class_table: Classes, hash_table: Hashes, base: np.uint64,
    classes: Classes, running: Hashes,
) -> None:  # fmt: skip
    """Write each character's classes, and running sums of hashes times growing powers of a base."""
    codes, classes, running = borrowed(codes), borrowed(classes), borrowed(running)
    class_table, hash_table = borrowed(class_table), borrowed(hash_table)
    total, power = np.uint64(0), np.uint64(1)
    running[0] = total
    for place in range(len(codes)):
        code = codes[place]
        if code < TABLE_SIZE - 1:
            classes[place], value = class_table[code], hash_table[code]
        else:
            classes[place], value = class_table[TABLE_SIZE - 1], mixed(np.uint64(code))
        total += value * power
        power *= base
        running[place + 1] = total


@compiled
def cut(classes: Classes, starts: Integers, ends: Integers) -> int:
    """Write starts and ends of the stretches between two or more newlines; their number."""
    classes, starts, ends = borrowed(classes), borrowed(starts), borrowed(ends)
    size, number, inside = len(classes), 0, False
    for place in range(size):
        gap = classes[place] & NEWLINE and (
            (place > 0 and classes[place - 1] & NEWLINE)
            or (place + 1 < size and classes[place + 1] & NEWLINE)
        )
        if inside and gap:
            ends[number] = place
            number, inside = number + 1, False
        elif not (inside or gap):
            starts[number], inside = place, True
    if inside:
        ends[number] = size
        number += 1
    return number


@compiled
def find_words(
    classes: Classes, first: Integers, last: Integers, starts: Integers, ends: Integers,
    paragraph: Integers, counts: Integers,
) -> int:  # fmt: skip
    """Write starts, ends and paragraph of each word of the paragraphs `first` to `last`.

    `counts`: words of each paragraph. Returns the number of words.
    """
    classes, starts, ends = borrowed(classes), borrowed(starts), borrowed(ends)
    paragraph = borrowed(paragraph)
    number = 0
    for row in range(len(first)):
        before, apart, continuous = number, True, False
        for place in range(first[row], last[row]):
            kind = classes[place]
            if kind & SPECIAL:
                apart = apart or kind & SPACE != 0
                continue
            alone = kind & CONTINUOUS != 0
            if apart or ((alone or continuous) and not kind & MARK):
                starts[number], paragraph[number] = place, row
                number += 1
            ends[number - 1] = place + 1
            apart, continuous = False, alone
        counts[row] = number - before
    return number


@compiled
def with_letter(
    classes: Classes, starts: Integers, ends: Integers, paragraph: Integers, counts: Integers
) -> None:
    """Count the words with a letter in each paragraph."""
    classes = borrowed(classes)
    for word in range(len(starts)):
        for place in range(starts[word], ends[word]):
            if classes[place] & ALPHA:
                counts[paragraph[word]] += 1
                break


@compiled
def find_lines(
    classes: Classes, first: Integers, last: Integers, starts: Integers, ends: Integers,
    paragraph: Integers,
) -> int:  # fmt: skip
    """Write each line of more than white space, without that at its ends; their number."""
    classes, starts, ends = borrowed(classes), borrowed(starts), borrowed(ends)
    paragraph = borrowed(paragraph)
    number = 0
    for row in range(len(first)):
        apart = True
        for place in range(first[row], last[row]):
            kind = classes[place]
            apart = apart or kind & NEWLINE != 0
            if not kind & SPACE:
                if apart:
                    starts[number], paragraph[number] = place, row
                    number, apart = number + 1, False
                ends[number - 1] = place + 1
    return number


@compiled
def count_characters(
    codes: Codes, classes: Classes, first: Integers, last: Integers, counts: Integers
) -> None:
    """Write COUNTED of each paragraph, one row a count."""
    codes, classes, counts = borrowed(codes), borrowed(classes), borrowed(counts)
    for row in range(len(first)):
        special, punctuation, tokens, upper, digits, symbols, word = 0, 0, 0, 0, 0, 0, False
        for place in range(first[row], last[row]):
            kind = classes[place]
            special += kind & SPECIAL != 0
            punctuation += kind & PUNCTUATION != 0
            upper += kind & UPPER != 0
            digits += kind & DIGIT != 0
            symbols += codes[place] == _HASH_SIGN or codes[place] == _ELLIPSIS
            tokens += kind & WORD != 0 and not word
            word = kind & WORD != 0
        counts[0, row], counts[1, row], counts[2, row] = special, punctuation, tokens + punctuation
        counts[3, row], counts[4, row], counts[5, row] = upper, digits, symbols
