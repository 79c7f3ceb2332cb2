"""The building blocks of the sample website: pages, pictures, server responses, captures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from PIL import Image

Headers = Mapping[str, str]
EMBEDDINGS = ("plain", "lazy", "srcset", "picture", "noscript", "bare")


@dataclass(frozen=True)
class Picture:
    """A picture to draw, and how the page embeds it."""

    path: str  # on the site, such as "img/en/red-boat-1.png"
    draw: Callable[[int, int], Image.Image]  # (width, height) in pixels
    width: int
    height: int
    alt: str
    caption: str
    embedding: str  # one of EMBEDDINGS
    fault: str = ""  # what is wrong with the file: see unwanted.py


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    text: str


@dataclass(frozen=True)
class BulletList:
    """A bulleted list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table; the first row is its header."""

    rows: tuple[tuple[str, ...], ...]


Block = Paragraph | BulletList | Table | Picture


@dataclass(frozen=True)
class Page:
    """One page of the site, before it is rendered as HTML."""

    path: str
    lang: str
    title: str
    blocks: tuple[Block, ...]
    charset: str = "utf-8"
    head: str = ""  # more HTML for <head>; not escaped
    headers: Headers = field(default_factory=dict)

    def pictures(self) -> list[Picture]:
        """The pictures in page order."""
        return [block for block in self.blocks if isinstance(block, Picture)]


@dataclass
class Responses:
    """What the server responds by path: files, and everything that is not just a file."""

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Capture:
    """A response that the crawler received."""

    path: str  # with the query
    body: bytes
    headers: Headers
    status: int = 200
    shard: int = 0  # which of the WARC files
    day: int = 1  # of November 2026


def number(key: str, count: int) -> int:
    """A number below `count` that depends only on the key."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") % count


def pick(key: str, choices: tuple[str, ...]) -> str:
    """One of the choices, depending only on the key."""
    return choices[number(key, len(choices))]
