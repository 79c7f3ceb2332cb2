"""Rows of a dataset as documents: texts and pictures in the order of the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from PIL import Image

from benben.loading import pictures
from benben.pipeline.dataset.obelics import BREAK_TEXT

Pictures = Literal["decoded", "bytes", "references"]
CONTENT = (
    *("images", "texts", "image_sha256", "image_urls", "doc_id"),
    *("metadata", "general_metadata", "text_metadata"),
)


@dataclass(slots=True)
class Text:
    """A text of a document."""

    text: str

    @property
    def is_break(self) -> bool:
        """Tell whether this is OBELICS's mark between the articles of a page."""
        return self.text == BREAK_TEXT


@dataclass(slots=True)
class Picture:
    """A picture of a document: what is known, and its bytes or pixels where they were asked for.

    Where they are missing, `reason` is `not_fetched` (the dataset has only the URL), `not_stored`
    (the bytes are in none of its files), `too_many_pixels` or `broken`.
    """

    url: str | None
    sha256: str | None
    metadata: dict[str, Any]  # OBELICS's: alt_text, caption, original_width ...
    data: bytes | None = None
    image: Image.Image | None = None
    reason: str | None = None


@dataclass
class Document:
    """A page: its items in order, and the dataset's other columns."""

    doc_id: str
    url: str | None
    items: list[Text | Picture]
    metadata: dict[str, Any] = field(default_factory=dict)  # lang, host, counts, scores ...
    known_nodes: Any = field(default=None, repr=False, compare=False)  # see `text_nodes`

    @property
    def texts(self) -> list[str]:
        """The texts, without marks between articles."""
        found = (item for item in self.items if isinstance(item, Text))
        return [item.text for item in found if not item.is_break]

    @property
    def pictures(self) -> list[Picture]:
        """The pictures, those without bytes too."""
        return [item for item in self.items if isinstance(item, Picture)]

    @cached_property
    def text_nodes(self) -> list[list[dict[str, Any]] | None]:
        """For each item the nodes of its text, with tag, heading level, list depth and section."""
        found = _known(self.known_nodes)
        return found or [None] * len(self.items)


def digests(row: Mapping[str, Any]) -> list[str | None]:
    """Return the SHA-256 of the pictures of a row whose bytes are elsewhere, by position."""
    return row.get("image_sha256") or [None] * len(row["texts"] or [])


def document_of(
    row: Mapping[str, Any], name: str, stored: Mapping[str, bytes], want: Pictures, max_pixels: int
) -> Document:
    """Turn a row of either form into a document.

    `name` stands for a missing `doc_id`; `stored` has the bytes of pictures by SHA-256.
    """
    known = _known(row.get("metadata")) or [None] * len(row["texts"])
    general = _known(row.get("general_metadata")) or {}
    items = list(_items(row, known, stored))
    if want == "references":
        for item in items:
            if isinstance(item, Picture):
                item.data = item.reason = None
    if want == "decoded":
        for item in items:
            if isinstance(item, Picture) and item.data is not None:
                item.image, item.reason = pictures.decode(item.data, max_pixels)
    facts = {**general, **{key: value for key, value in row.items() if key not in CONTENT}}
    doc_id = row.get("doc_id") or name
    return Document(doc_id, general.get("url"), items, facts, row.get("text_metadata"))


def _known(value: Any) -> Any:
    """Return what a column of JSON holds, or one of structs, in which null means: not known."""
    if isinstance(value, str):
        return json.loads(value)
    if isinstance(value, list):
        return [_known(one) for one in value]
    if isinstance(value, dict):
        return {name: one for name, one in value.items() if one is not None}
    return value


def _items(
    row: Mapping[str, Any], known: list[Any], stored: Mapping[str, bytes]
) -> Iterator[Text | Picture]:
    urls = row.get("image_urls")
    columns = (row["texts"], row["images"], urls or row["images"], digests(row), known)
    for text, image, url, sha256, entry in zip(*columns, strict=True):
        if text is not None:
            yield Text(text)
            continue
        data = image.get("bytes") if isinstance(image, dict) else stored.get(sha256 or "")
        reason = None if data is not None else "not_stored" if sha256 else "not_fetched"
        yield Picture(
            url if isinstance(url, str) else None, sha256, entry or {}, data, None, reason
        )
