"""What the words of a class or id say about an element, as bits: see content_words.yaml."""

from __future__ import annotations

import re
from importlib import resources

import yaml

_GROUPS: dict[str, list[str]] = yaml.safe_load(
    (resources.files("pipeline.page") / "content_words.yaml").read_text(encoding="utf-8")
)
GROUPS = tuple(_GROUPS)
FIRST_BIT = 16  # of an element's flags
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")  # also splits camelCase
_BITS: dict[str, int] = {}
for _number, _entries in enumerate(_GROUPS.values()):
    for _entry in _entries:
        for _form in (_entry, f"{_entry}s"):
            _BITS[_form] = _BITS.get(_form, 0) | 1 << FIRST_BIT + _number


def flags(value: str) -> int:
    """Bits of the groups that the words of an attribute's value belong to."""
    found = 0
    for word in _WORD.findall(value):
        found |= _BITS.get(word.lower(), 0)
    return found
