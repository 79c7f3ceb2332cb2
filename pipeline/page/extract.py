"""One page to a document: decode, parse, walk, score, and build its nodes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from benben.pipeline import config
from benben.pipeline.archive.charset import decode_html
from benben.pipeline.document import Document
from benben.pipeline.page.dom.elements import compile_plan
from benben.pipeline.page.dom.lexbor import parse
from benben.pipeline.page.dom.walk import LimitError, walk
from benben.pipeline.page.image_url import ImageAddresses
from benben.pipeline.page.nodes import build_nodes
from benben.pipeline.page.page_facts import read_facts
from benben.pipeline.page.score import content_score
from benben.pipeline.settings.extract import ExtractSettings

_FIRST_PAGE = "<title>a</title><p class=b>c<figure><img src=d></figure><pre>e</pre>"


class Extractor:
    """Extraction by one set of settings, compiled once for all pages."""

    def __init__(self, settings: ExtractSettings) -> None:
        self.settings = settings
        self._plan = compile_plan(settings)
        self._addresses = ImageAddresses(settings.images)
        # The first page compiles the functions, which must not count against a page's time limit.
        self._parse(_FIRST_PAGE, "https://example.org/", None)

    def extract(self, html: str, url: str, headers: Mapping[str, str] | None = None) -> Document:
        """Extract decoded HTML; see `extract_page`."""
        if len(html) > self.settings.limits.page_bytes:
            return Document(url, reason="extract.page_bytes")
        started = time.thread_time()
        document = self._parse(html, url, headers)
        # Processor time, since the result must not depend on how busy the machine is. Checking
        # afterwards is enough: every step is linear in the page, whose size is limited.
        if time.thread_time() - started > self.settings.limits.seconds:
            return Document(url, reason="extract.seconds")
        return document

    def _parse(self, html: str, url: str, headers: Mapping[str, str] | None) -> Document:
        document = Document(url)
        tree = parse(html)
        root = tree.root
        if root is None:
            return document
        try:
            self._fill(document, root, headers)
        except LimitError as limit:
            document.reason = f"extract.{limit}"
        return document

    def _fill(self, document: Document, root: Any, headers: Mapping[str, str] | None) -> None:
        """Fill a document from a parsed page. Raises LimitError."""
        page = walk(root, self._plan, self.settings.limits)
        facts = read_facts(page.facts_by(self._plan.attribute_names), document.url, headers)
        document.title, document.base_url = facts.title, facts.base_url
        attributes = root.attributes
        document.lang = attributes.get("lang") or attributes.get("xml:lang") or facts.lang
        document.opt_outs = tuple(facts.opt_outs)
        document.licenses = tuple(facts.licenses)
        document.page_images = tuple(facts.images)
        base = facts.base_url or document.url
        if self.settings.content_score:
            scores = content_score.score(page, facts.title)
        else:
            scores = np.full(len(page.blocks), np.nan)
        document.nodes = build_nodes(page, self._plan, self.settings, self._addresses, base, scores)


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
        return engine.extract(payload, url, headers)
    if len(payload) > engine.settings.limits.page_bytes:
        return Document(url=url, reason="extract.page_bytes")
    html, charset = decode_html(payload, _content_type(headers or {}))
    document = engine.extract(html, url, headers)
    document.charset = charset
    return document


def _content_type(headers: Mapping[str, str]) -> str | None:
    """Return the Content-Type header; names of headers are in any case."""
    for name, value in headers.items():
        if name.lower() == "content-type":
            return value
    return None
