"""The HTTP response inside a record: status, headers, body, and what kind of thing the body is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/\S*\s+(\d{3})\b", re.IGNORECASE)


class Headers(Mapping[str, str]):
    """HTTP headers by lower-case name; repeated ones are joined by commas (RFC 9110 5.3)."""

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
    """A parsed response."""

    status: int | None
    headers: Headers
    mime: str | None  # of the Content-Type header, else sniffed
    body: bytes  # as archived


def parse_response(block: bytes) -> Message:
    """Split a record's block into status line, headers and body; never fails."""
    status = _STATUS.match(block)
    if status is None:
        return Message(None, Headers({}), None, block)
    end = _HEAD_END.search(block)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    headers = parse_headers(head)
    return Message(int(status[1]), headers, media_type(headers.get("content-type")), body)


def parse_headers(head: bytes) -> Headers:
    """Parse header lines, the first line being the status line."""
    values: dict[str, str] = {}
    for line in head.decode("latin-1").split("\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            key, value = name.strip().lower(), value.strip()
            values[key] = f"{values[key]}, {value}" if key in values else value
    return Headers(values)


def media_type(content_type: str | None) -> str | None:
    """The type/subtype of a Content-Type value, in lower case; None when it has none."""
    if not content_type:
        return None
    return content_type.split(";")[0].split(",")[0].strip().lower() or None
