"""Settings of extraction: limits, what elements and classes mean, where images are found."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from benben.pipeline.settings.section import Section

_ELEMENT = re.compile(r"[a-z][^\sA-Z<>/\"'=.#,;]*")
_FIXED = frozenset(("head", "title", "meta", "link", "base", "script", "br", "img"))
_DROPPABLE = frozenset(("script", "br", "img"))


def _token(token: str) -> str:
    if not token or token != token.lower() or len(token.split()) != 1:
        raise ValueError(f"{token!r} is not one word in small letters")
    return token


class Limits(Section):
    """What a page may cost; a page that exceeds a limit is counted under a reason."""

    page_bytes: int = Field(gt=0, description="of a page, decompressed; larger ones are left out")
    nodes: int = Field(gt=0, description="elements and texts of a page")
    depth: int = Field(gt=0, description="levels of nested elements")
    seconds: float = Field(gt=0, description="processor time of one page")


class Elements(Section):
    """What each HTML element does to the text around it; an element is in one list only."""

    drop: list[str] = Field(
        description="removed with everything inside; nav, header, footer, aside, "
        "menu, form and dialog stay if they hold the page's <h1> or most of its text"
    )
    inline: list[str] = Field(description="unwrapped: text joins its neighbours without a break")
    line: list[str] = Field(description="a line break before and after")
    paragraph: list[str] = Field(description="a blank line before and after")
    unknown: Literal["drop", "inline", "line"] = Field(
        description="elements in none of the lists, such as custom elements; inline: unless they "
        "hold an element that breaks the text"
    )

    @field_validator("drop", "inline", "line", "paragraph")
    @classmethod
    def _are_names(cls, names: list[str], info: ValidationInfo) -> list[str]:
        """Refuse what is no name, and names that would change nothing here."""
        for name in names:
            if not _ELEMENT.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of an element in small letters")
            if name in _FIXED and (info.field_name != "drop" or name not in _DROPPABLE):
                raise ValueError(f"{name!r} has a meaning of its own and cannot be changed")
        return names

    @model_validator(mode="after")
    def _are_in_one_list(self) -> Elements:
        known: dict[str, str] = {}
        for place in ("drop", "inline", "line", "paragraph"):
            for name in getattr(self, place):
                if known.setdefault(name, place) != place:
                    raise ValueError(f"{name!r} is in {known[name]} and in {place}")
        return self


class Selectors(Section):
    """CSS selectors of elements that are dropped or kept whatever the lists and the score say."""

    drop: list[str] = Field(description="elements to remove with everything inside")
    keep: list[str] = Field(description="elements to keep: their content score is 1")

    @field_validator("drop", "keep")
    @classmethod
    def _are_selectors(cls, selectors: list[str]) -> list[str]:
        """Refuse what the parser does not understand."""
        if selectors:
            from selectolax.lexbor import LexborHTMLParser

            page = LexborHTMLParser("<p>")
            for selector in selectors:
                try:
                    page.css(selector)
                except Exception as error:
                    raise ValueError(f"{selector!r} is not a CSS selector") from error
        return selectors


class Noscript(Section):
    """Texts in <noscript> count where the page does not say them elsewhere, but for notices."""

    notice_bytes: int = Field(
        ge=0,
        description="a <noscript> with fewer bytes of text is a notice "
        "if it holds one of the words",
    )
    notice_words: list[str] = Field(description="words, or parts of them, that ask for scripts")


class Tokens(Section):
    """Whole tokens of `class` (for div also of `id` and `title`) that decide about an element."""

    drop: list[str] = Field(description="class tokens of elements to remove with all inside")
    drop_div: list[str] = Field(description="class, id or title tokens of a div to remove")
    images_only: list[str] = Field(
        description="class or id tokens of a div of which only the images are kept"
    )
    marks: list[str] = Field(
        description="class tokens of any element that belongs to the site rather than to the text "
        "around it, such as edit links and permalinks of headings"
    )
    line_numbers: list[str] = Field(
        description="class tokens of elements to remove if they hold nothing but digits"
    )
    code: list[str] = Field(
        description="class tokens of blocks of code without <pre>, or of cells of a table of code"
    )
    code_lines: list[str] = Field(
        description="class tokens of lines of code: a div that begins with such elements is code"
    )
    permalinks: list[str] = Field(
        description="words, alone or in brackets, whose link in a heading is its own address"
    )
    text_free: list[str] = Field(description="class tokens of a div whose own text to remove")
    article_break: list[str] = Field(description="class tokens of read-more links")

    @field_validator("*")
    @classmethod
    def _are_tokens(cls, tokens: list[str]) -> list[str]:
        """Refuse tokens that no page can have: they are compared in small letters."""
        return [_token(token) for token in tokens]


class ImageSettings(Section):
    """Where the address of an image is looked for."""

    elements: list[str] = Field(description="elements besides <img> that are images")
    attributes: list[str] = Field(min_length=1, description="attributes of one address, best first")
    srcset_attributes: list[str] = Field(description="attributes of several candidates, best first")
    background: bool = Field(description="take background images of inline styles")
    background_attributes: list[str] = Field(
        description="attributes of block elements that name a background, if it is an image file"
    )
    source_types: list[str] = Field(
        description="media types of <source> that are taken; the others are skipped, as browsers "
        "skip what they cannot decode"
    )
    screen: tuple[int, int, int] = Field(
        description="what `media` of <source> asks for: width and height in CSS pixels, and dots "
        "per pixel"
    )
    extensions: list[str] = Field(description="file name endings of images, without the dot")
    undecoded: list[str] = Field(description="endings of pictures taken only if there is no other")
    other_files: list[str] = Field(description="endings of what is never an image")
    no_values: list[str] = Field(description="values, or ends of a path, that are no address")
    placeholders: list[str] = Field(
        description="words of file names that stand in for a picture: taken only if there is no "
        "other, and not if <noscript> beside has one"
    )
    placeholder_parts: list[str] = Field(
        description="further words that such a file name may have; with any other it is a picture"
    )
    noscript: bool = Field(description="take images in <noscript> that the page shows nowhere else")

    @field_validator("attributes", "srcset_attributes")
    @classmethod
    def _are_attributes(cls, names: list[str]) -> list[str]:
        """Refuse names that no attribute can have: the parser writes them in small letters."""
        return [_token(name) for name in names]


class ExtractSettings(Section):
    """Section `extract`: from the bytes of a page to its nodes."""

    limits: Limits
    elements: Elements
    selectors: Selectors
    noscript: Noscript
    tokens: Tokens
    images: ImageSettings
    mojibake: bool = Field(description="decode text again that was encoded twice (Ã© for é)")
    formulas: bool = Field(description="write each formula once, as TeX in dollar signs")
    note_marks: bool = Field(description="keep marks that link to footnotes, such as [1]")
    hidden: bool = Field(description="keep elements that the markup hides")
    table_rows: bool = Field(description="join the cells of a table row into one text")
    texts: Literal["block", "paragraph", "run"] = Field(
        description="what one text node is: the text of a block element, a paragraph as in "
        "OBELICS, or all text between two images"
    )
    content_score: bool = Field(description="score every node; if off, scores are null")
