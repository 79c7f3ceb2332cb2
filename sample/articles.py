"""The hand-written articles in `pages/*.yaml`, as pages."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benben.sample.page import (
    Block,
    BulletList,
    Page,
    Paragraph,
    Picture,
    Table,
    number,
    pick,
)
from benben.sample.scenes import draw_scene

PAGES = Path(__file__).parent / "pages"
LANGUAGES = ("en", "de", "fr", "es", "zh")
EXTENSIONS = ("jpg", "png", "webp", "jpg")  # of pictures, chosen by hash
CHARSETS = {"fr/recette-soupe": "windows-1252", "zh/huoche": "gb18030"}  # the rest is UTF-8


def load(lang: str) -> dict[str, Any]:
    """The texts of a language: the phrases of the site and the articles."""
    data: dict[str, Any] = yaml.safe_load((PAGES / f"{lang}.yaml").read_text(encoding="utf-8"))
    return data


def articles(lang: str) -> list[Page]:
    """The articles of a language."""
    return [article(lang, entry) for entry in load(lang)["articles"]]


def article(lang: str, entry: dict[str, Any]) -> Page:
    """Make a page from the YAML of an article."""
    name = f"{lang}/{entry['slug']}"
    blocks = [_block(f"{name}-{place}", block) for place, block in enumerate(entry["body"])]
    return Page(
        path=f"{name}.html",
        lang=lang,
        title=entry["title"],
        blocks=tuple(blocks),
        charset=CHARSETS.get(name, "utf-8"),
        head=entry.get("head", ""),
        headers=entry.get("headers", {}),
    )


def _block(key: str, block: Any) -> Block:
    if isinstance(block, str):
        return Paragraph(block)
    if "list" in block:
        return BulletList(tuple(block["list"]))
    if "table" in block:
        return Table(tuple(tuple(row) for row in block["table"]))
    width = 320 + 16 * number(f"{key}-width", 11)
    draw = partial(draw_scene, block["scene"], block["main"], block["second"], key)
    fault = block.get("fault", "")
    extension = "jpg" if block["embedding"] == "picture" else pick(key, EXTENSIONS)
    if fault == "gif":
        extension = "gif"
    return Picture(
        path=f"{'private' if fault == 'private' else 'img'}/{key}.{extension}",
        draw=draw,
        width=width,
        height=width * 3 // 4,
        alt=block["alt"],
        caption=block["caption"],
        embedding=block["embedding"],
        fault=fault,
    )
