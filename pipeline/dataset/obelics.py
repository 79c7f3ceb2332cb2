"""Kept nodes to OBELICS's parallel lists (arXiv 2306.16527).

At each position exactly one of `texts` and `images` is set; `metadata` is a JSON list of the same
length, null at texts; `general_metadata` is a JSON object about the page. Texts are plain, as in
OBELICS, or Markdown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from benben.pipeline.dataset.markdown import MarkdownWriter, node_facts
from benben.pipeline.document import Node

# OBELICS puts this text between the articles of a page that has several.
BREAK_TEXT = "END_OF_DOCUMENT_TOKEN_TO_BE_REPLACED"
# Common Crawl's paths: crawl-data/CC-MAIN-2024-22/segments/.../warc/NAME.warc.gz
_CRAWL_PATH = re.compile(r"(?:^|/)(crawl-data/([^/]+)/.+)$")


@dataclass(frozen=True, slots=True)
class ImageFact:
    """What is known about a downloaded image."""

    sha256: str
    width: int
    height: int
    format: str
    nsfw: float | None = None  # 0..1


@dataclass(slots=True)
class Row:
    """The parallel lists of one document."""

    texts: list[str | None]  # as they ship
    images: list[str | None]
    metadata: list[dict[str, object] | None]
    sha256: list[str | None]
    plain: list[str | None]  # the texts without marks of Markdown
    nodes: list[list[dict[str, object]] | None]  # what is known of each text's nodes

    @property
    def num_images(self) -> int:
        """Number of images."""
        return sum(url is not None for url in self.images)

    @property
    def own_texts(self) -> list[str]:
        """The plain texts of the page itself, without break markers."""
        return [text for text in self.plain if text is not None and text != BREAK_TEXT]

    @property
    def num_words(self) -> int:
        """Number of words, separated by white space."""
        return sum(len(text.split()) for text in self.own_texts)

    @property
    def num_chars(self) -> int:
        """Number of characters."""
        return sum(map(len, self.own_texts))

    def num_tokens(self, bytes_per_token: float) -> int:
        """Estimate the tokens of a language model from bytes of UTF-8, which suits all scripts."""
        shipped = (text for text in self.texts if text is not None and text != BREAK_TEXT)
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in shipped)
        return round(size / bytes_per_token)


def to_row(
    nodes: Sequence[Node], page_url: str, facts: Mapping[str, ImageFact], markdown: bool = False
) -> Row:
    """Turn kept nodes into OBELICS's lists.

    Consecutive text nodes become one text, joined by a blank line or, if so wished, as Markdown.
    Breaks at either end or next to another break are left out. `facts` maps an image's URL to what
    was downloaded.
    """
    row = Row([], [], [], [], [], [])
    writer, known = MarkdownWriter(), node_facts(nodes)
    paragraphs: list[Node] = []
    waiting_break = False

    def close_text() -> None:
        if paragraphs:
            plain = "\n\n".join(node.text or "" for node in paragraphs)
            text = writer.write(paragraphs) if markdown else plain
            _append(row, text, plain=plain, nodes=[next(known) for _ in paragraphs])
            paragraphs.clear()

    for node in nodes:
        if node.kind == "break":
            waiting_break = bool(row.texts or paragraphs)
            continue
        if waiting_break:
            close_text()
            _append(row, BREAK_TEXT, plain=BREAK_TEXT)
            waiting_break = False
        if node.kind == "text":
            paragraphs.append(node)
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
    plain: str | None = None,
    nodes: list[dict[str, object]] | None = None,
) -> None:
    row.plain.append(plain)
    row.nodes.append(nodes)
    row.texts.append(text)
    row.images.append(url)
    row.metadata.append(metadata)
    row.sha256.append(fact.sha256 if fact else None)


def image_metadata(node: Node, page_url: str, fact: ImageFact | None) -> dict[str, object]:
    """Return OBELICS's entry of an image; optional keys only if known."""
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
    """Return the words of an image's file name without sizes and digits; None if none are left."""
    name = unquote(urlsplit(url).path.rsplit("/", 1)[-1]).split(".", 1)[0]
    words = re.sub(r"[\W_]+", " ", re.sub(r"\d+x\d+|\d+", " ", name)).strip()
    return words if len(words) > 1 else None


def general_metadata(url: str, warc: str, offset: int, length: int) -> str:
    """Return OBELICS's JSON object: a page's URL and where its capture lies."""
    return json.dumps(
        {
            "url": url,
            "warc_filename": warc,
            "warc_record_offset": offset,
            "warc_record_length": length,
        },
        ensure_ascii=False,
    )


def crawl_paths(urls: Iterable[str]) -> dict[str, str]:
    """Return archive's file name -> its path from `crawl-data/` on, for archives that have one.

    Readers of OBELICS fetch a page again by this path.
    """
    found = ((url.rsplit("/", 1)[-1], _CRAWL_PATH.search(url)) for url in urls)
    return {name: match[1] for name, match in found if match}


def crawl_name(path: str) -> str | None:
    """Return the crawl an archive's path names, such as CC-MAIN-2024-22; None without one."""
    match = _CRAWL_PATH.search(path)
    return match[2] if match else None
