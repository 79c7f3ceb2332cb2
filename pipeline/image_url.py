"""Which address an <img> shows: srcset, picture sources, lazy-loading attributes, src."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pipeline.settings.extract import ImageSettings
from pipeline.url import join

Attributes = Mapping[str, str | None]

_SPACES = " \t\n\f\r"
_URL = re.compile(r"[^ \t\n\f\r]+")
_DESCRIPTOR = re.compile(r"(\d+|\d*\.\d+)([wx])")
_SCHEME = re.compile(
    r"(?!https?:)[a-z][a-z0-9+.-]*:", re.I
)  # data:, blob:, about:, javascript: ...
_SIZE = re.compile(r"\s*(\d{1,5})(?:\.\d+)?\s*(?:px)?\s*$")


def best_candidate(srcset: str) -> str | None:
    """Return the largest candidate of a srcset (WHATWG HTML, "parse a srcset attribute").

    Width descriptors compare with one another, and so do densities; a candidate without a
    descriptor is 1x. Of equal candidates the first counts.
    """
    best, best_size = None, -1.0
    for url, size in _candidates(srcset):
        if size > best_size and not _SCHEME.match(url):
            best, best_size = url, size
    return best


def _candidates(srcset: str) -> Iterable[tuple[str, float]]:
    position, end = 0, len(srcset)
    while position < end:
        while position < end and srcset[position] in _SPACES + ",":
            position += 1
        found = _URL.match(srcset, position)
        if not found:
            return
        url, position = found[0], found.end()
        descriptors = ""
        if url.endswith(","):
            url = url.rstrip(",")
        else:
            start = position
            position = _descriptor_end(srcset, position)
            descriptors = srcset[start:position]
        yield url, _size(descriptors)


def _descriptor_end(srcset: str, position: int) -> int:
    """Position of the comma after the descriptors; commas in parentheses do not count."""
    depth = 0
    for place in range(position, len(srcset)):
        character = srcset[place]
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "," and depth <= 0:
            return place
    return len(srcset)


def _size(descriptors: str) -> float:
    for word in descriptors.split():
        found = _DESCRIPTOR.fullmatch(word)
        if found:
            return float(found[1]) * (1 if found[2] == "x" else 1.0)
    return 1.0


def resolve_image(
    attributes: Attributes, sources: Sequence[Attributes], settings: ImageSettings, base: str
) -> str | None:
    """Return an image's absolute http(s) address: the best of what the page offers, or None.

    `sources` are the attributes of the <source> elements before it in a <picture>.
    """
    for holder in (*sources, attributes):
        for name in settings.srcset_attributes:
            srcset = holder.get(name)
            if srcset and (candidate := best_candidate(srcset)):
                url = join(base, candidate)
                if url:
                    return url
    for name in settings.attributes:
        value = attributes.get(name)
        if value and (value := value.strip(_SPACES)) and not _SCHEME.match(value):
            url = join(base, value)
            if url:
                return url
    return None


def pixels(value: str | None) -> int | None:
    """Read a declared width or height in CSS pixels; None for percentages and words."""
    found = _SIZE.match(value) if value else None
    return int(found[1]) if found else None
