"""Render pages as HTML, with the menus, banners and footers that surround articles on the web."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benben.sample.articles import load
from benben.sample.page import Page, Paragraph, number

BLANK_IMAGE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@lru_cache(maxsize=1)
def _templates() -> Environment:
    folder = Path(__file__).parent / "templates"
    return Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)


@lru_cache(maxsize=8)
def phrases(lang: str) -> dict[str, Any]:
    """The site's own phrases in a language: menus, footer, cookie bar."""
    return load(lang)


def render(page: Page, related: Sequence[Page]) -> bytes:
    """The HTML of a page, in its charset."""
    return _frame(page, _blocks(page), related)


def render_blog(page: Page, stories: Sequence[Page]) -> bytes:
    """The HTML of an index page: the start of several stories, each with a link to the rest."""
    teasers = [
        (story, next(b.text for b in story.blocks if isinstance(b, Paragraph)), story.pictures()[0])
        for story in stories
    ]
    template = _templates().get_template("blog.html")
    body = template.render(stories=teasers, more=phrases(page.lang)["more"])
    return _frame(page, body, stories)


def small(path: str) -> str:
    """Path of the half-size version of a picture, for srcset."""
    stem, extension = posixpath.splitext(path)
    return f"{stem}-small{extension}"


def webp(path: str) -> str:
    """Path of the WebP version of a picture, for the picture element."""
    return posixpath.splitext(path)[0] + ".webp"


def _has_base(page: Page) -> bool:
    """Whether the page has a `base` element; so do one in eight, chosen by hash."""
    return number(f"{page.path}-base", 8) == 0


def _blocks(page: Page) -> str:
    return (
        _templates()
        .get_template("blocks.html")
        .render(
            blocks=[(type(block).__name__, block) for block in page.blocks],
            address=partial(_address, page),
            small=small,
            webp=webp,
            blank=BLANK_IMAGE,
        )
    )


def _address(page: Page, path: str) -> str:
    """URL of a picture as authors write it: from the root, or relative to page or base."""
    if _has_base(page):
        return posixpath.relpath(path, page.lang)
    if number(page.path, 2):
        return posixpath.relpath(path, posixpath.dirname(page.path) or ".")
    return f"/{path}"


def _frame(page: Page, body: str, related: Sequence[Page]) -> bytes:
    html = (
        _templates()
        .get_template("page.html")
        .render(
            page=page,
            words=phrases(page.lang),
            body=Markup(body),
            related=related[:6],
            old=number(f"{page.path}-layout", 3) == 0,
            based=_has_base(page),
        )
    )
    return html.encode(page.charset, "xmlcharrefreplace")
