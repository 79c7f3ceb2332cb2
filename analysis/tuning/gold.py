"""Main text that people marked: how many tokens of each paragraph of a page are in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benben.common.text import lines, one_line
from benben.filters.signals.text import split
from benben.pipeline.errors import InputError

# A token is a run of letters and digits, or one character of a script without spaces.
_TOKEN = re.compile(
    "[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\\W_]+", re.UNICODE
)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph and how many of its tokens are in the gold, and how many are not."""

    index: int  # of its node
    number: int  # in its node
    gold: int
    other: int


def records(data: bytes, path: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a file of JSON lines. Raises InputError, which names a wrong line."""
    for number, line in enumerate(lines(data), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}: line {number} is no JSON: {error}") from None
        if not isinstance(record, dict):
            raise InputError(f"{path}: line {number} is no record: {one_line(line, 40)}")
        yield record


def tokens(text: str) -> list[str]:
    """Lower-case tokens."""
    return _TOKEN.findall(text.lower())


def align(texts: Iterable[tuple[int, str]], gold: str) -> list[Paragraph]:
    """Compare each paragraph of a page with its gold text, by their longest common subsequence.

    `texts`: index and text of each text node, in order.
    """
    places = [
        (index, number, tokens(part))
        for index, text in texts
        for number, part in enumerate(split(text))
    ]
    common = iter(common_tokens([token for *_, part in places for token in part], tokens(gold)))
    paragraphs = []
    for index, number, part in places:
        hits = sum(islice(common, len(part)))
        paragraphs.append(Paragraph(index, number, hits, len(part) - hits))
    return paragraphs


def common_tokens(found: Sequence[str], wanted: Sequence[str]) -> list[bool]:
    """Tell which of `found` lie in a longest common subsequence with `wanted`.

    Bit-parallel (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"), with the rows kept
    for the way back.
    """
    places: dict[str, int] = {}
    for place, token in enumerate(wanted):
        places[token] = places.get(token, 0) | 1 << place
    full = (1 << len(wanted)) - 1
    row, rows = full, []
    for token in found:
        match = row & places.get(token, 0)
        row = (row + match | row - match) & full
        rows.append(row)
    chosen = [False] * len(found)
    width = len(wanted)
    for place in range(len(found) - 1, -1, -1):
        steps = ~rows[place] & (1 << width) - 1
        if not steps:
            break
        width = steps.bit_length()
        if (rows[place - 1] if place else full) >> width - 1 & 1:
            chosen[place] = True
            width -= 1
    return chosen
