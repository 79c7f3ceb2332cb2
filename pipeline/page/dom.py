"""What each element means for the walk: settings turned into tables keyed by Lexbor's tag ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from pipeline.page import content_words
from pipeline.settings.extract import ExtractSettings

# What the walk does at an element. Inline elements and links are unwrapped; blocks break the text.
INLINE, LINK, BLOCK, BREAK, IMAGE, FACT, DROP = range(7)

# Strength of the break between two texts, as OBELICS's separators "", " ", "\n", "\n\n".
NO_GAP, SPACE, LINE, PARAGRAPH = range(4)
SEPARATORS = ("", " ", "\n", "\n\n")

# Flags of an element, inherited by everything inside: what the walk needs ...
PRE, NOSCRIPT, FIGURE, CAPTION, HIDDEN = (1 << bit for bit in range(5))
# ... and the kinds of element around, for the content score.
AROUND = {
    "article": ("article",), "main": ("main",), "header": ("header", "hgroup"),
    "aside": ("aside",), "form": ("form", "fieldset"), "list": ("ul", "ol", "dl"),
    "table": ("table",), "section": ("section",), "quote": ("blockquote",),
    "details": ("details",), "center": ("center",),
}  # fmt: skip
FIRST_AROUND = 5
INHERITED = (1 << content_words.FIRST_BIT) - 1
# Then the groups of words in class and id (content_words), and what an element's attributes ask
# for; neither is inherited.
READ, DIV_GONE, DIV_TEXT_FREE, BACKGROUND, GONE, TEXT_FREE, ARTICLE_BREAK = (
    1 << bit for bit in range(56, 63)
)
OF_DIV = DIV_GONE | DIV_TEXT_FREE

_FACTS = ("title", "meta", "link", "base", "script")
_FLAGS = {
    "pre": PRE, "listing": PRE, "plaintext": PRE, "xmp": PRE,
    "noscript": NOSCRIPT, "figure": FIGURE, "figcaption": CAPTION,
    **{
        tag: 1 << FIRST_AROUND + number
        for number, tags in enumerate(AROUND.values())
        for tag in tags
    },
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
    hidden: int  # flag of an element the markup hides: HIDDEN or GONE
    background: bool  # whether inline styles' background images count
    _class_flags: dict[str, int] = field(default_factory=dict)
    _id_flags: dict[str, int] = field(default_factory=dict)

    def attribute_flags(self, tag: int, attributes: Mapping[str, str | None]) -> int:
        """Flags of an element: its tag's, its words, and what its attributes ask for."""
        flags = self.flags.get(tag, 0)
        known = 0
        classes = attributes.get("class")
        if classes is not None:
            flags |= self._class_flags.get(classes) or self._read(classes, self._class_flags)
            known = 1
        identifier = attributes.get("id")
        if identifier is not None:
            flags |= self._id_flags.get(identifier) or self._read(identifier, self._id_flags)
            known += 1
        if len(attributes) > known:
            flags |= self._other_flags(tag, attributes)
        if flags & OF_DIV and tag == self.div:
            flags |= GONE if flags & DIV_GONE else TEXT_FREE
        return flags

    def _other_flags(self, tag: int, attributes: Mapping[str, str | None]) -> int:
        flags = 0
        style = attributes.get("style")
        if "hidden" in attributes or (style and _HIDDEN_STYLE.search(style)):
            flags |= self.hidden
        if self.background and style and "url(" in style:
            flags |= BACKGROUND
        if tag == self.div and "title" in attributes:
            title = (attributes["title"] or "").lower()
            flags |= 0 if self.drop_div.isdisjoint(title.split()) else DIV_GONE
        return flags

    def _read(self, value: str, known: dict[str, int]) -> int:
        """Flags of a class (or id) attribute; remembered, never zero."""
        tokens = value.lower().split()
        flags = READ | content_words.flags(value)
        if not self.drop_div.isdisjoint(tokens):
            flags |= DIV_GONE
        if known is self._class_flags:
            if not self.drop.isdisjoint(tokens):
                flags |= GONE
            if not self.article_break.isdisjoint(tokens):
                flags |= ARTICLE_BREAK
            if not self.text_free.isdisjoint(tokens):
                flags |= DIV_TEXT_FREE
        if len(known) >= _CACHE_ENTRIES:
            known.clear()
        known[value] = flags
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
        background=settings.images.background,
        hidden=HIDDEN if settings.hidden else GONE,
    )
