"""One page to a document: decode, parse, walk, read its facts, score, and build its nodes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from benben.pipeline import config
from benben.pipeline.archive.charset import to_utf8
from benben.pipeline.consent import directives
from benben.pipeline.consent.site_files import inline_license
from benben.pipeline.document import Document
from benben.pipeline.page.dom.columns import CHARS, ELEMENT, FLAGS, LINKED
from benben.pipeline.page.dom.copies import without_copies
from benben.pipeline.page.dom.elements import KEPT, compile_plan, tag_id
from benben.pipeline.page.dom.lexbor import parse
from benben.pipeline.page.dom.notes import Attributes
from benben.pipeline.page.dom.prescan import LimitError, Survey
from benben.pipeline.page.dom.walk import Walk, walk
from benben.pipeline.page.image_url import ImageAddresses
from benben.pipeline.page.markup import as_html, mended, with_article
from benben.pipeline.page.nodes import build_nodes
from benben.pipeline.page.score import content_score
from benben.pipeline.settings.extract import ExtractSettings
from benben.pipeline.url import join

_ARTICLE_TAG = b"<json-ld>"
_LACKING = 0.2  # a page with less text than this share of its article has not got it
_FIRST_PAGE = b"<title>a</title><p class=b>c<figure><img src=d></figure><pre>e</pre>"


class Extractor:
    """Extraction by one set of settings, compiled once for all pages."""

    def __init__(self, settings: ExtractSettings) -> None:
        self.settings = settings
        self._plan = compile_plan(settings)
        self._addresses = ImageAddresses(settings.images)
        # The first page compiles the functions, which must not count against a page's time limit.
        self._parse(_FIRST_PAGE, "https://example.org/", None)

    def extract(self, html: bytes, url: str, headers: Mapping[str, str] | None = None) -> Document:
        """Extract HTML in UTF-8; see `extract_page`."""
        if len(html) > self.settings.limits.page_bytes:
            return Document(url, reason="extract.page_bytes")
        started = time.thread_time()
        document = self._parse(html, url, headers)
        # Processor time, since the result must not depend on how busy the machine is. Checking
        # afterwards is enough: pages whose parsing would not be linear are refused before.
        if time.thread_time() - started > self.settings.limits.seconds:
            return Document(url, reason="extract.seconds")
        return document

    def _parse(self, html: bytes, url: str, headers: Mapping[str, str] | None) -> Document:
        document = Document(url)
        try:
            page, seen = mended(html, _content_type(headers or {}), self.settings.mojibake)
            article = self._fill(document, page, headers, seen)
            if article:
                self._fill(document, with_article(page, article), headers)
        except LimitError as limit:
            document.reason = f"extract.{limit}"
        return document

    def _fill(
        self,
        document: Document,
        html: bytes,
        headers: Mapping[str, str] | None,
        seen: Survey | None = None,
    ) -> str | None:
        """Fill a document from a page in UTF-8, or return the article that only its metadata hold.

        Raises LimitError.
        """
        tree = parse(html, seen=seen)
        root = tree.root
        if root is None:
            return None
        notices = self.settings.noscript
        page = without_copies(
            walk(root, self._plan, self.settings.limits), notices.notice_bytes, notices.notice_words
        )
        facts = read_facts(page.facts_by(self._plan.attribute_names), document.url, headers)
        document.title, document.base_url = facts.title, facts.base_url
        attributes = root.attributes
        document.lang = attributes.get("lang") or attributes.get("xml:lang") or facts.lang
        document.opt_outs = tuple(facts.opt_outs)
        document.licenses = tuple(facts.licenses)
        document.page_images = tuple(facts.images)
        if facts.article and _ARTICLE_TAG not in html and lacks_text(page, facts.article):
            return facts.article
        base = facts.base_url or document.url
        if self.settings.content_score:
            scored = content_score.score(page, facts.title, document.url)
            document.page_type, document.confidence = scored.page_type, scored.confidence
            scores, comments = scored.scores, scored.comments
            scores[page.elements[page.blocks[:, ELEMENT], FLAGS] & KEPT != 0] = 1
        else:
            scores = np.full(len(page.blocks), np.nan)
            comments = np.zeros(len(page.blocks), np.bool_)
        document.nodes = build_nodes(
            page, self._plan, self.settings, self._addresses, base, scores, comments
        )
        return None


@lru_cache(maxsize=1)
def default_settings() -> ExtractSettings:
    """Return the settings of `configs/default.yaml`."""
    section = config.parse_yaml(config.find("default")).get("extract")
    return config.validate(ExtractSettings, section or {}, "configs/default.yaml: extract")


_extractors: dict[int, Extractor] = {}


def extractor(settings: ExtractSettings | None = None) -> Extractor:
    """Return the compiled form of settings, made once for each object."""
    settings = settings or default_settings()
    known = _extractors.get(id(settings))
    if known is None or known.settings is not settings:
        if len(_extractors) >= 16:
            _extractors.clear()
        known = _extractors[id(settings)] = Extractor(settings)
    return known


def extract_page(
    payload: bytes | str,
    url: str,
    headers: Mapping[str, str] | None = None,
    settings: ExtractSettings | None = None,
) -> Document:
    """Turn one page into a document with its nodes in reading order.

    `payload` is decoded HTML, or bytes whose encoding is found from `headers` and the page. A page
    that exceeds a limit gives a document without nodes and a reason. No content of a page raises.
    """
    engine = extractor(settings)
    if isinstance(payload, str):
        return engine.extract(payload.encode("utf-8", "replace"), url, headers)
    if len(payload) > engine.settings.limits.page_bytes:
        return Document(url=url, reason="extract.page_bytes")
    html, charset = to_utf8(payload, _content_type(headers or {}))
    document = engine.extract(html, url, headers)
    document.charset = charset
    return document


def _content_type(headers: Mapping[str, str]) -> str | None:
    """Return the Content-Type header; names of headers are in any case."""
    return ", ".join(directives.lines_of(headers, "content-type")) or None


def lacks_text(page: Walk, article: str) -> bool:
    """Tell whether the texts of a page outside links are much shorter than its article."""
    chars = int((page.blocks[:, CHARS] - page.blocks[:, LINKED]).sum())
    return chars < _LACKING * len(_TAG.sub("", article))


_SCRIPT, _META, _LINK, _TITLE = (tag_id(name) for name in ("script", "meta", "link", "title"))
_IMAGE_PROPERTIES = frozenset(
    ("og:image", "og:image:url", "og:image:secure_url", "twitter:image", "twitter:image:src")
)
_TAG = re.compile(r"<[^<>]*+>")
_IMAGE_KEYS = ("image", "thumbnailUrl")
_JSON_KEYS = (*_IMAGE_KEYS, "articleBody", "description", "text", "recipeInstructions")
# What a page is about by its types of schema.org, and the keys of its text in the order of a page.
_TEXT_KEYS = {
    "Question": ("name", "text", "acceptedAnswer", "suggestedAnswer"),
    "Answer": ("text",),
    "Comment": ("text",),
    "FAQPage": ("name", "mainEntity"),
    "QAPage": ("mainEntity",),
    "Recipe": ("name", "description", "recipeIngredient", "recipeInstructions"),
    "HowTo": ("name", "description", "supply", "tool", "step"),
    "HowToSection": ("name", "itemListElement", "steps"),
    "HowToStep": ("name", "text", "itemListElement"),
    "HowToDirection": ("text",),
    "HowToTip": ("text",),
    "HowToSupply": ("name",),
    "HowToTool": ("name",),
    "Product": ("name", "description"),
    "ProductGroup": ("name", "description"),
    "JobPosting": ("title", "description"),
    "DiscussionForumPosting": ("headline", "text", "comment"),
}
_WHOLE = (
    "Question", "FAQPage", "QAPage", "Recipe", "HowTo", "Product", "ProductGroup", "JobPosting",
    "DiscussionForumPosting",
)  # fmt: skip
_NAMES = ("name", "title", "headline")
_JSON_DEPTH = 12  # JSON-LD nests a few levels; what is deeper is not read
_JSON_CHARACTERS = 200_000
_LAST_COMMA = re.compile(r",(?=\s*+[}\]])")
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
    article: str | None = None  # text of JSON-LD as HTML: articleBody, questions, recipes ...


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
            if "ld+json" in attributes.get("type", "").lower():
                _read_json_ld(attributes.get("", ""), facts, images)
            elif "rsl+xml" in attributes.get("type", "").lower():
                facts.opt_outs.extend(inline_license(attributes.get("", ""), url))
        elif tag == _META:
            _read_meta(attributes, facts, images)
        elif tag == _LINK:
            rel = attributes.get("rel")
            if rel and "license" in rel.lower().split() and attributes.get("href"):
                licenses.append(attributes["href"])
                if "rsl+xml" in attributes.get("type", "").lower():
                    facts.opt_outs.append(f"{directives.LICENSE}:{attributes['href'].strip()}")
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
    names = (attributes.get(key) for key in ("name", "property", "http-equiv"))
    for name in dict.fromkeys(name.strip().lower() for name in names if name):
        if name in _IMAGE_PROPERTIES:
            images.append(content)
        elif name == "content-language":
            facts.lang = facts.lang or content.split(",")[0].strip() or None
        else:
            facts.opt_outs.extend(directives.from_meta(name, content))


def _resolved(references: Iterable[str], base: str) -> list[str]:
    urls = (join(base, reference.strip()) for reference in references)
    return list(dict.fromkeys(url for url in urls if url))[:_MAX_FACTS]


def _read_json_ld(text: str, facts: PageFacts, images: list[str]) -> None:
    """Take from a JSON-LD block (schema.org) the images and the longest text."""
    if len(text) > _JSON_CHARACTERS or not any(f'"{key}"' in text for key in _JSON_KEYS):
        return
    try:
        for key, value in _entries(_parse_json(text), _JSON_DEPTH):
            if key in _IMAGE_KEYS:
                images.extend(_addresses(value))
                continue
            article = as_html(value) if isinstance(value, str) else "".join(_texts(value, "", 0))
            if len(article) > len(facts.article or ""):
                facts.article = article
    except (ValueError, RecursionError):
        return


def _parse_json(text: str) -> Any:
    """Parse JSON of a script, without the comments around it and commas before a closing bracket.

    Raises ValueError and RecursionError.
    """
    try:
        return json.loads(text, strict=False)
    except ValueError:
        text = text.replace("<![CDATA[", "").replace("]]>", "")
        starts = [place for place in map(text.find, "{[") if place >= 0]
        end = max(map(text.rfind, "}]")) + 1
        inside = text[min(starts, default=0) : end]
        return json.loads(_LAST_COMMA.sub("", inside), strict=False)


def _entries(value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield images and article bodies in nested objects and lists, and objects that are texts."""
    if depth == 0:
        return
    if isinstance(value, list):
        for item in value:
            yield from _entries(item, depth - 1)
    elif isinstance(value, dict):
        if _type_of(value, _WHOLE):
            yield "text", value
        for key, item in value.items():
            if key in _IMAGE_KEYS or key == "articleBody":
                yield key, item
            elif isinstance(item, dict | list):
                yield from _entries(item, depth - 1)


def _type_of(value: dict[str, Any], names: Iterable[str]) -> str | None:
    """Return the first type of an object that is among some names; types may be addresses."""
    found = value.get("@type")
    for name in found if isinstance(found, list) else [found]:
        if isinstance(name, str) and name.rsplit("/", 1)[-1] in names:
            return name.rsplit("/", 1)[-1]
    return None


def _texts(value: Any, tag: str, depth: int) -> Iterator[str]:
    """Yield the texts of an object that says what a page is about, as HTML in reading order.

    `tag`: the element that a text stands in; "" for paragraphs.
    """
    if isinstance(value, list) and depth < _JSON_DEPTH:
        for item in value:
            yield from _texts(item, tag, depth + 1)
    elif isinstance(value, str):
        text = as_html(value)
        plain = text.removeprefix("<p>").removesuffix("</p>")
        yield f"<{tag}>{plain}</{tag}>" if tag and "<p>" not in plain else text
    elif isinstance(value, dict) and depth < _JSON_DEPTH:
        for key in _TEXT_KEYS.get(_type_of(value, _TEXT_KEYS) or "", ()):
            if key == "name" and value.get("text") == value.get(key):
                continue  # a step, whose name repeats its text
            tag = "h2" if key in _NAMES else "li" if key == "recipeIngredient" else ""
            yield from _texts(value.get(key), tag, depth + 1)


def _addresses(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            item = item.get("url") or item.get("contentUrl")
        if isinstance(item, str):
            yield item
