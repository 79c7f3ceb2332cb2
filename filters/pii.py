"""Personal data and secrets in text: counted as signals, replaced on request.

Patterns favour precision: a pattern that fires on prices and dates would be switched off. Cheap
marks (an @, a run of digits) choose the paragraphs that regular expressions then read.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from benben.filters import pii_marks
from benben.filters.paragraphs import Integers, Paragraphs
from benben.pipeline.document import Node

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
_MARKS = pii_marks.marks_table(_SECRET_MARKS)
_FIRST_LETTERS = pii_marks.first_letters(_MARKS)
_LIKELY = {
    "emails": pii_marks.EMAILS,
    "ips": pii_marks.IPS,
    "phones": pii_marks.PHONES,
    "credentials": pii_marks.CREDENTIALS,
}
_DIGIT = re.compile(r"\d")
_PATTERNS = {"emails": _EMAIL, "ips": _IP, "phones": _PHONE, "credentials": _CREDENTIAL}


def counts(text: Paragraphs) -> dict[str, Integers]:
    """Number of matches of each kind in each paragraph."""
    likely = np.empty(len(text), np.uint8)
    pii_marks.scan(text.codes, text.classes, text.starts, text.ends, _MARKS, _FIRST_LETTERS, likely)
    return {kind: _count(text, kind, np.flatnonzero(likely & bit)) for kind, bit in _LIKELY.items()}


def find(text: str, kind: str) -> Iterator[tuple[int, int]]:
    """Start and end of each match of a kind."""
    for match in _PATTERNS[kind].finditer(text):
        if kind != "ips" or _is_public(match.group()):
            yield match.span()


def redact(text: str, kinds: Iterable[str] = KINDS) -> tuple[str, int]:
    """Replace what is found by a marker of its kind; of two that overlap, the first.

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
    """Nodes as they ship: text, alternative text and caption redacted; URLs stay.

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
    """A cheap look that spares most texts the regular expressions."""
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


def _count(text: Paragraphs, kind: str, candidates: Integers) -> Integers:
    found = np.zeros(len(text), np.int64)
    for row in candidates.tolist():
        paragraph = text.text[int(text.starts[row]) : int(text.ends[row])]
        found[row] = sum(1 for _ in find(paragraph, kind))
    return found
