"""How much a parsed page holds, so that the walk's columns are made once."""

from __future__ import annotations

from benben.pipeline.compiled import compiled
from benben.pipeline.page.columns import Sizes
from benben.pipeline.page.dom import DROP, IMAGE, TAGS, UNKNOWN, Bytes
from benben.pipeline.page.lexbor import (
    ELEMENT_NODE,
    TEXT_NODE,
    attribute_after,
    attribute_of,
    child_of,
    name_of,
    next_of,
    parent_of,
    text_of,
    type_of,
    value_of,
)

_OVERHEAD = 2  # bytes that a value costs besides its own


@compiled
def measure(root: int, kinds: Bytes) -> Sizes:
    """Count what the walk may come to below a node."""
    elements = texts = images = text_bytes = attribute_bytes = depth = deepest = 0
    node = child_of(root)
    while node:
        inside = 0
        if type_of(node) == TEXT_NODE:
            texts += 1
            text_bytes += text_of(node)[1]
        elif type_of(node) == ELEMENT_NODE:
            tag = name_of(node)
            kind = kinds[tag if 0 <= tag < TAGS else UNKNOWN]
            elements += 1
            images += kind == IMAGE
            if kind != DROP:
                attribute_bytes += _attribute_bytes(node)
                inside = child_of(node)
        if inside:
            node = inside
            depth += 1
            deepest = max(deepest, depth)
            continue
        while node != root and next_of(node) == 0:
            node = parent_of(node)
            depth -= 1
        node = 0 if node == root else next_of(node)
    return Sizes(elements, texts, images, text_bytes, attribute_bytes, deepest)


@compiled
def _attribute_bytes(element: int) -> int:
    total = 0
    attribute = attribute_of(element)
    while attribute:
        total += value_of(attribute)[1] + _OVERHEAD
        attribute = attribute_after(attribute)
    return total
