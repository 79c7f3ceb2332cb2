"""Personal data and secrets in text: counted as signals, replaced on request.

The patterns favour precision: one that fires on prices and dates would be switched off. One
compiled pass over the characters (an @, a run of digits) chooses the paragraphs that the regular
expressions then read; it leaves out no match of theirs.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters.declaration import OWN, TEXT, Column, Signal, measured_together, stored
from benben.filters.signals.text import (
    DIGIT,
    Batch,
    Classes,
    Codes,
    Integers,
    Marks,
    Paragraphs,
    borrowed_marks,
    make_marks,
    stands_at,
)
from benben.pipeline.compiled import borrowed, compiled
from benben.pipeline.document import Node

EMAILS, IPS, PHONES, CREDENTIALS = 1, 2, 4, 8
# Fewest digits of a telephone number with and without a plus sign; most characters between two.
_WITH_PLUS, _WITHOUT_PLUS, _BETWEEN = 8, 10, 2
_AT, _COLON, _DOT, _PLUS = ord("@"), ord(":"), ord("."), ord("+")
_ZERO, _NINE, _A, _F, _LOWER = ord("0"), ord("9"), ord("a"), ord("f"), 0x20
_SPACE, _DASH, _OPEN, _CLOSE = ord(" "), ord("-"), ord("("), ord(")")
KINDS = ("emails", "ips", "phones", "credentials")
MARKERS = {"emails": "<EMAIL>", "ips": "<IP>", "phones": "<PHONE>", "credentials": "<CREDENTIAL>"}
_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@(?:[^\W_](?:[\w-]{0,62})\.)+[^\W\d_]{2,24}(?![\w-])"
)
_IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]{2,39}:[0-9A-Fa-f]{0,4})(?![\w:]|\.\d)"
)
_PHONE = re.compile(
    r"(?<![\w+.,/-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,11}"
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}-\d{3}-\d{4}|\d{3}\.\d{3}\.\d{4})(?![\w/-]|[.,]\d)"
)
_CREDENTIAL = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS
    r"|\bgh[pousr]_[0-9A-Za-z]{36,}\b"  # GitHub
    r"|\bAIza[\w-]{35}(?![\w-])"  # Google
    r"|\bxox[abprs]-[0-9A-Za-z-]{10,}"  # Slack
    r"|\bsk-[0-9A-Za-z_-]{20,}"
    r"|(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"  # JSON web token
    r"|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"
    r"|(?i:\bpassword\s?[:=]\s?)[^\s,;]{6,}"
)
_SECRET_MARKS = (
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "AIza",
    "xox",
    "sk-",
    "eyJ",
    "PRIVATE KEY",
    "assword",
    "ASSWORD",
)
_LIKELY = {
    "emails": EMAILS,
    "ips": IPS,
    "phones": PHONES,
    "credentials": CREDENTIALS,
}
_DIGIT = re.compile(r"\d")
_PATTERNS = {"emails": _EMAIL, "ips": _IP, "phones": _PHONE, "credentials": _CREDENTIAL}


def count(text: Paragraphs) -> dict[str, Integers]:
    """Count the matches of each kind in each paragraph."""
    likely = np.empty(len(text), np.uint8)
    _find_likely(text.codes, text.classes, text.starts, text.ends, _MARKS, _NOTED, likely)
    return {
        kind: _count_matches(text, kind, np.flatnonzero(likely & bit))
        for kind, bit in _LIKELY.items()
    }


def find(text: str, kind: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each match of a kind."""
    for match in _PATTERNS[kind].finditer(text):
        if kind != "ips" or _is_public(match.group()):
            yield match.span()


def redact(text: str, kinds: Iterable[str] = KINDS) -> tuple[str, int]:
    """Replace each match by the marker of its kind; of two that overlap, only the first.

    Returns the text, and how many places were replaced.
    """
    likely = [kind for kind in kinds if _may_hold(text, kind)]
    spans = sorted((start, -end, kind) for kind in likely for start, end in find(text, kind))
    parts, place, number = [], 0, 0
    for start, minus_end, kind in spans:
        if start >= place:
            parts += [text[place:start], MARKERS[kind]]
            place = -minus_end
            number += 1
    return "".join([*parts, text[place:]]), number


def redact_nodes(nodes: Iterable[Node], kinds: Sequence[str]) -> tuple[list[Node], int]:
    """Redact text, alternative text and caption of nodes; URLs stay.

    Returns the nodes, and how many places were replaced in all of them.
    """
    redacted, total = [], 0
    for node in nodes:
        changed: dict[str, str] = {}
        for name in ("text", "alt", "caption"):
            plain, number = redact(getattr(node, name) or "", kinds)
            if number:
                changed[name] = plain
                total += number
        redacted.append(replace(node, **changed) if changed else node)  # type: ignore[arg-type]
    return redacted, total


def _may_hold(text: str, kind: str) -> bool:
    """Tell cheaply whether the regular expression of a kind is worth running."""
    if kind == "emails":
        return "@" in text
    if kind == "credentials":
        return any(mark in text for mark in _SECRET_MARKS)
    return _DIGIT.search(text) is not None or (kind == "ips" and ":" in text)


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _count_matches(text: Paragraphs, kind: str, candidates: Integers) -> Integers:
    found = np.zeros(len(text), np.int64)
    for row in candidates.tolist():
        found[row] = sum(1 for _ in find(text.paragraph(row), kind))
    return found


# The compiled pass that chooses paragraphs.


_MARKS = make_marks(_SECRET_MARKS)


def _noted_characters() -> NDArray[np.bool_]:
    """Tell for each ASCII character whether the pass has to look at it."""
    noted = _MARKS.letters.copy()
    noted[[_AT, _COLON, _DOT, _PLUS, _SPACE, _DASH, _OPEN, _CLOSE]] = True
    noted[_ZERO : _NINE + 1] = True
    return noted


_NOTED = _noted_characters()


@compiled
def _is_hexadecimal(code: int) -> bool:
    """Tell whether a character is an ASCII digit or a letter up to F."""
    return _ZERO <= code <= _NINE or _A <= (code | _LOWER) <= _F


@compiled
def _is_separator(code: int) -> bool:
    """Tell whether a character may stand between digits of a telephone number."""
    return code in (_SPACE, _DOT, _DASH, _OPEN, _CLOSE)


@compiled
def _find_likely(
    codes: Codes, classes: Classes, first: Integers, last: Integers, marks: Marks,
    noted: NDArray[np.bool_], found: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Write one bit per kind for each paragraph: set if it may hold a match of that kind."""
    codes, classes, found = borrowed(codes), borrowed(classes), borrowed(found)
    marks, noted = borrowed_marks(marks), borrowed(noted)
    for row in range(len(first)):
        flags, colons, dots, before = 0, 0, 0, False  # before: the character before is a digit
        end = last[row]
        digits, gap, fewest = 0, 0, _WITHOUT_PLUS
        for place in range(first[row], end):
            code, digit = codes[place], classes[place] & DIGIT != 0
            if not (noted[code] if code < len(noted) else digit):
                if colons and not _is_hexadecimal(code):
                    colons = 0
                dots, digits, fewest, before = 0, 0, _WITHOUT_PLUS, False
                continue
            if (
                code < len(noted)
                and marks.letters[code]
                and stands_at(codes, place, first[row], end, marks)
            ):
                flags |= CREDENTIALS
            if code == _AT:
                flags |= EMAILS
            if code == _COLON:
                colons += 1
            elif not _is_hexadecimal(code):
                colons = 0
            if code == _DOT and before:
                dots += 1
            elif not digit:
                dots = 0
            if colons >= 2 or dots >= 3:
                flags |= IPS
            if digit:
                digits, gap = digits + 1, 0
                if digits >= fewest:
                    flags |= PHONES
            else:
                gap += 1
                if code == _PLUS:
                    digits, gap, fewest = 0, 0, _WITH_PLUS
                elif gap > _BETWEEN or not _is_separator(code):
                    digits, fewest = 0, _WITHOUT_PLUS
            before = digit
        found[row] = flags


# Declarations.


def _measure(batch: Batch) -> dict[str, Integers]:
    return count(batch.text)


def _number(kind: str, meaning: str) -> Signal:
    column = Column(kind, "text_node", pa.int32(), measured_together(_measure, kind))
    return stored(column, meaning, OWN, scopes=TEXT)


SIGNALS = (
    _number("emails", "e-mail addresses"),
    _number("ips", "IP addresses outside reserved networks"),
    _number("phones", "telephone numbers"),
    _number("credentials", "keys, tokens and passwords"),
)
