"""Kept nodes to OBELICS's parallel lists, and back.

Position i of `texts` and `images` holds exactly one of the two; `metadata` is a JSON list of the
same length, null in text slots; `general_metadata` a JSON object (OBELICS, arXiv 2306.16527).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from benben.pipeline.document import Node

# A read-more link means several articles on one page; OBELICS marks the place with this text.
BREAK_TEXT = "END_OF_DOCUMENT_TOKEN_TO_BE_REPLACED"


@dataclass(frozen=True, slots=True)
class ImageFact:
    """What is known of a fetched image."""

    sha256: str
    width: int
    height: int
    format: str
    nsfw: float | None = None  # 0..1


@dataclass(slots=True)
class Row:
    """The parallel lists of one document."""

    texts: list[str | None]
    images: list[str | None]
    metadata: list[dict[str, object] | None]
    sha256: list[str | None]

    @property
    def num_images(self) -> int:
        """Image slots."""
        return sum(url is not None for url in self.images)

    @property
    def own_texts(self) -> list[str]:
        """Texts of the page: the text slots, break markers left out."""
        return [text for text in self.texts if text is not None and text != BREAK_TEXT]

    @property
    def num_words(self) -> int:
        """Words between blanks."""
        return sum(len(text.split()) for text in self.own_texts)

    @property
    def num_chars(self) -> int:
        """Characters of the texts."""
        return sum(map(len, self.own_texts))

    def num_tokens(self, bytes_per_token: float) -> int:
        """Estimate of a language model's tokens: bytes of UTF-8 hold across scripts."""
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in self.own_texts)
        return round(size / bytes_per_token)


def to_row(nodes: Iterable[Node], page_url: str, facts: Mapping[str, ImageFact]) -> Row:
    """Lay kept nodes out in OBELICS's lists.

    Neighbouring text nodes become one slot, joined by a blank line. Breaks at an end or beside
    another break say nothing and are left out. `facts` maps an image's URL to what was fetched.
    """
    row = Row([], [], [], [])
    paragraphs: list[str] = []
    waiting_break = False

    def close_text() -> None:
        if paragraphs:
            _append(row, text="\n\n".join(paragraphs))
            paragraphs.clear()

    for node in nodes:
        if node.kind == "break":
            waiting_break = bool(row.texts or paragraphs)
            continue
        if waiting_break:
            close_text()
            _append(row, text=BREAK_TEXT)
            waiting_break = False
        if node.kind == "text":
            paragraphs.append(node.text or "")
        else:
            close_text()
            fact = facts.get(node.url or "")
            _append(row, url=node.url, metadata=image_metadata(node, page_url, fact), fact=fact)
    close_text()
    return row


def _append(
    row: Row,
    text: str | None = None,
    url: str | None = None,
    metadata: dict[str, object] | None = None,
    fact: ImageFact | None = None,
) -> None:
    row.texts.append(text)
    row.images.append(url)
    row.metadata.append(metadata)
    row.sha256.append(fact.sha256 if fact else None)


def image_metadata(node: Node, page_url: str, fact: ImageFact | None) -> dict[str, object]:
    """OBELICS's keys of an image slot; optional ones only when known."""
    found: dict[str, object | None] = {
        "document_url": page_url,
        "unformatted_src": node.src or node.url,
        "src": node.url,
        "formatted_filename": formatted_filename(node.url or ""),
        "alt_text": node.alt or None,
        "caption": node.caption or None,
        "rendered_width": node.width,
        "rendered_height": node.height,
        "original_width": fact.width if fact else None,
        "original_height": fact.height if fact else None,
        "format": fact.format if fact else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def formatted_filename(url: str) -> str | None:
    """Words of an image's file name: separators, sizes and digits become blanks; None if empty."""
    name = unquote(urlsplit(url).path.rsplit("/", 1)[-1]).split(".", 1)[0]
    words = re.sub(r"[\W_]+", " ", re.sub(r"\d+x\d+|\d+", " ", name)).strip()
    return words if len(words) > 1 else None


def general_metadata(url: str, warc: str, offset: int, length: int) -> str:
    """OBELICS's JSON object of where a page lies."""
    return json.dumps(
        {
            "url": url,
            "warc_filename": warc,
            "warc_record_offset": offset,
            "warc_record_length": length,
        },
        ensure_ascii=False,
    )


def check_row(texts: list[str | None], images: list[str | None], metadata: str) -> None:
    """Raise ValueError unless the lists have one length and exactly one side set a position."""
    entries = json.loads(metadata)
    if not len(texts) == len(images) == len(entries):
        raise ValueError(f"lengths differ: {len(texts)}, {len(images)}, {len(entries)}")
    for position, (text, image, entry) in enumerate(zip(texts, images, entries, strict=True)):
        if (text is None) == (image is None) or (image is None) != (entry is None):
            raise ValueError(f"position {position}: text {text!r}, image {image!r}, {entry!r}")
