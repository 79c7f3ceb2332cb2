"""What each element means for the walk: settings turned into tables keyed by Lexbor's tag ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from pipeline.settings.extract import ExtractSettings

# What the walk does at an element. Inline elements and links are unwrapped; blocks break the text.
INLINE, LINK, BLOCK, BREAK, IMAGE, FACT, DROP = range(7)

# Strength of the break between two texts, as OBELICS's separators "", " ", "\n", "\n\n".
NO_GAP, SPACE, LINE, PARAGRAPH = range(4)

# Flags of an element, inherited by everything inside.
PRE, NOSCRIPT, FIGURE, CAPTION = (1 << bit for bit in range(4))
# What an element's attributes ask for; never inherited.
GONE, TEXT_FREE, ARTICLE_BREAK = (1 << bit for bit in range(60, 63))
INHERITED = (1 << 60) - 1

_FACTS = ("title", "meta", "link", "base", "script")
_FLAGS = {
    "pre": PRE, "listing": PRE, "plaintext": PRE, "xmp": PRE,
    "noscript": NOSCRIPT, "figure": FIGURE, "figcaption": CAPTION,
}  # fmt: skip
_HIDDEN_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.I)
_CACHE_ENTRIES = 50_000

_factory = LexborHTMLParser("")


def tag_id(name: str) -> int:
    """Lexbor's number of an HTML element; unknown names have numbers of one document only."""
    return int(_factory.create_node(name).tag_id)


def _first_id(html: str) -> int:
    first: Any = LexborHTMLParser(html).body
    return int(first.first_child.tag_id)


TEXT, _COMMENT = _first_id("x"), _first_id("<body><!-- -->")


@dataclass(slots=True)
class Plan:
    """Settings compiled for the walk; one per settings, shared by all pages."""

    kinds: dict[int, int]  # tag id -> DROP ... FACT
    gaps: dict[int, int]  # tag id of a block -> LINE or PARAGRAPH
    flags: dict[int, int]  # tag id of a block -> flags inherited inside
    names: dict[int, str]
    unknown: int
    div: int
    drop: frozenset[str]
    drop_div: frozenset[str]
    text_free: frozenset[str]
    article_break: frozenset[str]
    keep_hidden: bool
    cache: dict[tuple[bool, str | None, str | None], int] = field(default_factory=dict)

    def attribute_flags(self, tag: int, attributes: Mapping[str, str | None]) -> int:
        """Tell what an element's attributes ask for: GONE, TEXT_FREE, ARTICLE_BREAK."""
        if not self.keep_hidden and "hidden" in attributes:
            return GONE
        style = attributes.get("style")
        if style and not self.keep_hidden and _HIDDEN_STYLE.search(style):
            return GONE
        title = attributes.get("title") if tag == self.div else None
        if title and not self.drop_div.isdisjoint(title.lower().split()):
            return GONE
        key = (tag == self.div, attributes.get("class"), attributes.get("id"))
        flags = self.cache.get(key)
        if flags is None:
            if len(self.cache) >= _CACHE_ENTRIES:
                self.cache.clear()
            flags = self.cache[key] = self._token_flags(*key)
        return flags

    def _token_flags(self, is_div: bool, classes: str | None, identifier: str | None) -> int:
        tokens = set((classes or "").lower().split())
        flags = 0
        if tokens & self.drop:
            flags |= GONE
        if tokens & self.article_break:
            flags |= ARTICLE_BREAK
        if is_div and (tokens | set((identifier or "").lower().split())) & self.drop_div:
            flags |= GONE
        if is_div and tokens & self.text_free:
            flags |= TEXT_FREE
        return flags


def compile_plan(settings: ExtractSettings) -> Plan:
    """Turn settings into the walk's tables."""
    elements = settings.elements
    kinds: dict[int, int] = {}
    gaps: dict[int, int] = {}
    names: dict[int, str] = {}

    def enter(tags: Iterable[str], kind: int, gap: int = NO_GAP) -> None:
        for name in tags:
            number = tag_id(name)
            names[number] = name
            kinds[number] = kind
            gaps[number] = gap

    enter(elements.drop, DROP)
    enter(elements.inline, INLINE)
    enter(elements.line, BLOCK, LINE)
    enter(elements.paragraph, BLOCK, PARAGRAPH)
    enter(["head"], BLOCK, LINE)
    enter(_FACTS, FACT)
    enter(["br"], BREAK)
    enter(["img"], IMAGE)
    if kinds.get(tag_id("a")) == INLINE:
        enter(["a"], LINK)
    unknown = {"drop": DROP, "inline": INLINE, "line": BLOCK}[elements.unknown]
    kinds[_COMMENT] = DROP
    return Plan(
        kinds=kinds,
        gaps=gaps,
        flags={tag_id(name): flag for name, flag in _FLAGS.items()},
        names=names,
        unknown=unknown,
        div=tag_id("div"),
        drop=frozenset(settings.tokens.drop),
        drop_div=frozenset(settings.tokens.drop_div),
        text_free=frozenset(settings.tokens.text_free),
        article_break=frozenset(settings.tokens.article_break),
        keep_hidden=settings.hidden,
    )
