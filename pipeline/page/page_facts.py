"""Facts about the page: title, base address, language, licences, opt-outs, images of metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benben.pipeline.consent import directives
from benben.pipeline.page.dom.elements import tag_id
from benben.pipeline.page.dom.notes import Attributes
from benben.pipeline.url import join

_SCRIPT, _META, _LINK, _TITLE = (tag_id(name) for name in ("script", "meta", "link", "title"))
_IMAGE_PROPERTIES = frozenset(
    ("og:image", "og:image:url", "og:image:secure_url", "twitter:image", "twitter:image:src")
)
_JSON_DEPTH = 12  # JSON-LD nests a few levels; what is deeper is not read
_JSON_CHARACTERS = 200_000
_MAX_FACTS = 50  # of one kind on one page


@dataclass(slots=True)
class PageFacts:
    """Facts from meta, link, base, title and script elements, and from HTTP headers."""

    title: str | None = None
    base_url: str | None = None
    lang: str | None = None
    opt_outs: list[str] = field(default_factory=list)
    licenses: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)


def read_facts(
    elements: Iterable[tuple[int, Attributes]], url: str, headers: Mapping[str, str] | None
) -> PageFacts:
    """Read the facts from tags and attributes of elements; relative addresses are resolved."""
    facts = PageFacts(base_url=url, opt_outs=directives.from_headers(headers or {}))
    licenses: list[str] = []
    images: list[str] = []
    based = False
    for tag, attributes in elements:
        if tag == _SCRIPT:
            if attributes.get("type") == "application/ld+json":
                images.extend(_json_ld_images(attributes.get("", "")))
        elif tag == _META:
            _read_meta(attributes, facts, images)
        elif tag == _LINK:
            rel = attributes.get("rel")
            if rel and "license" in rel.lower().split() and attributes.get("href"):
                licenses.append(attributes["href"])
        elif tag == _TITLE:
            if facts.title is None:
                facts.title = " ".join(attributes.get("", "").split()) or None
        elif not based and attributes.get("href") is not None:
            based = True
            facts.base_url = join(url, attributes["href"]) or url
    base = facts.base_url or url
    facts.licenses = _resolved(licenses, base)
    facts.images = _resolved(images, base)
    facts.opt_outs = list(dict.fromkeys(facts.opt_outs))
    return facts


def _read_meta(attributes: Attributes, facts: PageFacts, images: list[str]) -> None:
    content = attributes.get("content")
    if not content:
        return
    name = (attributes.get("name") or attributes.get("property") or "").strip().lower()
    if name in _IMAGE_PROPERTIES:
        images.append(content)
    elif name:
        facts.opt_outs.extend(directives.from_meta(name, content))
    elif (attributes.get("http-equiv") or "").strip().lower() == "content-language":
        facts.lang = facts.lang or content.split(",")[0].strip() or None


def _resolved(references: Iterable[str], base: str) -> list[str]:
    urls = (join(base, reference.strip()) for reference in references)
    return list(dict.fromkeys(url for url in urls if url))[:_MAX_FACTS]


def _json_ld_images(text: str) -> list[str]:
    """Addresses under "image" and "thumbnailUrl" of a JSON-LD block (schema.org)."""
    if ('"image"' not in text and '"thumbnailUrl"' not in text) or len(text) > _JSON_CHARACTERS:
        return []
    try:
        return list(_find_images(json.loads(text, strict=False), _JSON_DEPTH))
    except (ValueError, RecursionError):
        return []


def _find_images(value: Any, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, list):
        for item in value:
            yield from _find_images(item, depth - 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("image", "thumbnailUrl"):
                yield from _addresses(item)
            elif isinstance(item, dict | list):
                yield from _find_images(item, depth - 1)


def _addresses(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            item = item.get("url") or item.get("contentUrl")
        if isinstance(item, str):
            yield item
