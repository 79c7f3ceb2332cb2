"""What the sample website is made of: pages of blocks, pictures, and captures of pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from PIL import Image

Words = Mapping[str, str]


@dataclass(frozen=True)
class Picture:
    """A picture to draw, and how the page embeds it."""

    path: str  # on the site, such as "img/en/red-boat-1.png"
    draw: Callable[[int, int], Image.Image]  # (width, height) in pixels
    width: int
    height: int
    alt: str
    caption: str
    how: str  # one of EMBEDDINGS
    spoil: str = ""  # what is wrong with the file, see odd.py


EMBEDDINGS = ("plain", "lazy", "srcset", "picture", "noscript", "bare")


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Items:
    """A bulleted list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table; the first row is its head."""

    rows: tuple[tuple[str, ...], ...]


Block = Paragraph | Items | Grid | Picture


@dataclass(frozen=True)
class Page:
    """One page of the site before it becomes HTML."""

    path: str
    lang: str
    title: str
    blocks: tuple[Block, ...]
    charset: str = "utf-8"
    head: str = ""  # more markup for <head>, trusted
    headers: Words = field(default_factory=dict)

    def pictures(self) -> list[Picture]:
        """Pictures in page order."""
        return [block for block in self.blocks if isinstance(block, Picture)]


@dataclass(frozen=True)
class Capture:
    """One response a crawler saw."""

    path: str  # with its query
    body: bytes
    headers: Words
    status: int = 200
    shard: int = 0  # which of the WARC files
    day: int = 1  # of November 2026


def number(key: str, count: int) -> int:
    """A number below `count` that depends on the key alone."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") % count


def pick(key: str, choices: tuple[str, ...]) -> str:
    """One of the choices, depending on the key alone."""
    return choices[number(key, len(choices))]
