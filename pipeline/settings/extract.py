"""Settings of extraction: what is read, what of a page becomes nodes, limits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from benben.pipeline.settings.section import Section


class Limits(Section):
    """What a page may cost; more becomes a counted reason."""

    page_bytes: int = Field(gt=0)
    nodes: int = Field(gt=0)
    depth: int = Field(gt=0, description="elements inside one another")
    seconds: float = Field(gt=0)


class Elements(Section):
    """What each HTML element does to the text around it; an element belongs to one list."""

    drop: list[str] = Field(description="gone with everything inside")
    inline: list[str] = Field(description="unwrapped: text joins its neighbours without a break")
    line: list[str] = Field(description="a line break before and after")
    paragraph: list[str] = Field(description="a blank line before and after")
    unknown: Literal["drop", "inline", "line"] = Field(
        description="elements in no list, such as custom ones"
    )


class Tokens(Section):
    """Whole tokens of `class` (and of `id` and `title` for div) that decide about an element."""

    drop: list[str] = Field(description="class tokens: the element is gone with all inside")
    drop_div: list[str] = Field(description="class, id or title tokens of a div")
    text_free: list[str] = Field(description="class tokens of a div that loses its own text")
    article_break: list[str] = Field(description="class tokens of read-more links")


class ImageSettings(Section):
    """Where an image's address is looked for."""

    attributes: list[str] = Field(min_length=1, description="single addresses, best first")
    srcset_attributes: list[str] = Field(description="candidate lists, best first")
    background: bool = Field(description="take background-image of inline styles")
    noscript: bool = Field(description="take images of <noscript> the page shows nowhere else")


class ExtractSettings(Section):
    """Section `extract`."""

    limits: Limits
    elements: Elements
    tokens: Tokens
    images: ImageSettings
    hidden: bool = Field(description="keep elements that the markup itself hides")
    table_rows: bool = Field(description="join the cells of a table row to one text")
    texts: Literal["block", "paragraph", "run"] = Field(
        description="a text node is a block element's text, OBELICS's paragraph, or all text "
        "between two images"
    )
    content_score: bool = Field(description="score every node; off: scores are null")
