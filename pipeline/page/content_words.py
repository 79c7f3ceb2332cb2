"""What the words of a class or id say about an element, as bits: see content_words.yaml."""

from __future__ import annotations

from importlib import resources

import yaml

_GROUPS: dict[str, list[str]] = yaml.safe_load(
    (resources.files("benben.pipeline.page") / "content_words.yaml").read_text(encoding="utf-8")
)
GROUPS = tuple(_GROUPS)
FIRST_BIT = 16  # of an element's flags
LAST_BIT = FIRST_BIT + len(GROUPS)
BITS: dict[str, int] = {}
for _number, _entries in enumerate(_GROUPS.values()):
    for _entry in _entries:
        for _form in (_entry, f"{_entry}s"):
            BITS[_form] = BITS.get(_form, 0) | 1 << FIRST_BIT + _number
