"""The HTTP response inside a record: status, headers, and what kind of thing the body is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from benben.pipeline.archive.record_head import head_size

HTML = ("text/html", "application/xhtml+xml")
_XML = ("application/xml", "text/xml")
_STATUS = re.compile(rb"(?:HTTP(?:/[\d.]+)?|ICY)[ \t]+(\d{3})(?!\d)", re.IGNORECASE)
_FIELD = re.compile(r"\n([^:\s][^:\n]*?)[ \t]*:[ \t]*([^\r\n]*[^\s]|)")
_FOLD = re.compile(r"\r?\n[ \t]+")  # obsolete line folding, RFC 9112 5.2
_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?\s*([^\"'\s;,]+)", re.IGNORECASE)

# WHATWG MIME Sniffing 7.1: what makes a body of no declared type HTML.
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?[\t\n\x0c\r ]*<(?:!--|(?:!doctype\s+html|html|head|script|iframe|h1|div|"
    rb"font|table|a|style|title|b|body|br|p)[\s>])",
    re.IGNORECASE,
)
_XHTML = re.compile(rb"<html\b[^>]*\bxmlns\s*=|<!doctype\s+html", re.IGNORECASE)

# Signatures of files that servers send as HTML though nobody wrote them as such.
_BINARY = (b"%PDF-", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"PK\x03\x04", b"RIFF", b"\x7fELF")


class Headers(Mapping[str, str]):
    """HTTP headers by name in any case; repeated ones joined by commas (RFC 9110 5.3)."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(slots=True)
class Message:
    """The head of a response; the body is what follows `body_at`."""

    status: int | None
    headers: Headers
    body_at: int
    whole: bool = True  # the blank line that ends the head was seen


def parse_response(block: bytes) -> Message:
    """Parse the head of the response a block begins with; never fails."""
    status = _STATUS.match(block)
    if status is None and block[:5].upper() != b"HTTP/":
        return Message(None, Headers({}), 0)
    size = head_size(block)
    number = int(status[1]) if status else None
    return Message(number, parse_headers(block[:size] or block), size or len(block), size > 0)


def parse_headers(head: bytes) -> Headers:
    """Parse the header lines that follow a status line; lines without a name are passed over."""
    try:
        text = head.decode()
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    text = _FOLD.sub(" ", text) if "\n " in text or "\n\t" in text else text
    values: dict[str, str] = {}
    for name, value in _FIELD.findall(text):
        key = name.lower()
        values[key] = f"{values[key]}, {value}" if key in values else value
    return Headers(values)


@lru_cache(maxsize=4096)
def media_type(content_type: str | None) -> tuple[str | None, str | None]:
    """Type and charset label of a Content-Type value.

    Of several values the last valid one counts (Fetch Standard, "extract a MIME type").
    """
    essence = charset = None
    for value in (content_type or "")[:1024].split(","):
        found = _TYPE.match(value.strip())
        if found is None:
            continue
        label = _CHARSET.search(value)
        if found[0].lower() != essence or label:
            charset = label[1] if label else None
        essence = found[0].lower()
    return essence, charset


def is_html(essence: str | None, payload: bytes) -> bool:
    """Tell whether a body is an HTML or XHTML page, by its declared type and its first bytes."""
    if payload.startswith(_BINARY):
        return False
    if essence in HTML:
        return True
    if essence in _XML:
        return _XHTML.search(payload, 0, 1024) is not None
    return essence is None and _HTML_START.match(payload) is not None


def may_be_html(essence: str | None) -> bool:
    """Tell whether a declared type leaves it to the body whether this is a page."""
    return essence is None or essence in HTML or essence in _XML
