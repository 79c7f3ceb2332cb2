"""Settings of extraction: limits, what elements and classes mean, where images are found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from benben.pipeline.settings.section import Section


class Limits(Section):
    """What a page may cost; a page that exceeds a limit is counted under a reason."""

    page_bytes: int = Field(gt=0)
    nodes: int = Field(gt=0)
    depth: int = Field(gt=0, description="levels of nested elements")
    seconds: float = Field(gt=0)


class Elements(Section):
    """What each HTML element does to the text around it; an element is in one list only."""

    drop: list[str] = Field(description="removed with everything inside")
    inline: list[str] = Field(description="unwrapped: text joins its neighbours without a break")
    line: list[str] = Field(description="a line break before and after")
    paragraph: list[str] = Field(description="a blank line before and after")
    unknown: Literal["drop", "inline", "line"] = Field(
        description="elements in none of the lists, such as custom elements"
    )


class Tokens(Section):
    """Whole tokens of `class` (for div also of `id` and `title`) that decide about an element."""

    drop: list[str] = Field(description="class tokens of elements to remove with all inside")
    drop_div: list[str] = Field(description="class, id or title tokens of a div to remove")
    text_free: list[str] = Field(description="class tokens of a div whose own text to remove")
    article_break: list[str] = Field(description="class tokens of read-more links")


class ImageSettings(Section):
    """Where the address of an image is looked for."""

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


class ExtractSettings(Section):
    """Section `extract`."""

    limits: Limits
    elements: Elements
    tokens: Tokens
    images: ImageSettings
    mojibake: bool = Field(description="decode text again that was encoded twice (Ã© for é)")
    hidden: bool = Field(description="keep elements that the markup hides")
    table_rows: bool = Field(description="join the cells of a table row into one text")
    texts: Literal["block", "paragraph", "run"] = Field(
        description="what one text node is: the text of a block element, a paragraph as in "
        "OBELICS, or all text between two images"
    )
    content_score: bool = Field(description="score every node; if off, scores are null")
