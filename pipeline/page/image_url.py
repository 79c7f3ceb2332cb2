"""The address that an <img> shows: from srcset, <source>, lazy-loading attributes or src."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from benben.pipeline.page.dom.notes import Attributes
from benben.pipeline.settings.extract import ImageSettings
from benben.pipeline.url import join

_SPACES = " \t\n\f\r"
_URL = re.compile(r"[^ \t\n\f\r]+")
# A candidate: an address, which does not end in a comma, and its descriptors up to the next comma.
_CANDIDATE = re.compile(r"[ \t\n\f\r,]*([^ \t\n\f\r]*[^ \t\n\f\r,])(?:,+(?=[ \t\n\f\r]|$)|([^,]*))")
_DESCRIPTOR = re.compile(r"(\d+|\d*\.\d+)([wx])")
_SCHEME = re.compile(
    r"(?!https?:)[a-z][a-z0-9+.-]*:", re.I
)  # data:, blob:, about:, javascript: ...
_BACKGROUND = re.compile(r"""background(?:-image)?\s*:[^;]*?url\(\s*['"]?([^'")]+)""", re.I)
_SIZE = re.compile(r"\s*(\d{1,5})(?:\.\d+)?\s*(?:px)?\s*$")


def best_candidate(srcset: str) -> str | None:
    """Return the largest candidate of a srcset (WHATWG HTML, "parse a srcset attribute").

    Width descriptors are compared with each other, and so are densities; a candidate without a
    descriptor is 1x. Of equal candidates the first wins.
    """
    best, best_size = None, -1.0
    for url, size in _candidates(srcset):
        if size > best_size and not _SCHEME.match(url):
            best, best_size = url, size
    return best


def _candidates(srcset: str) -> Iterable[tuple[str, float]]:
    if "(" in srcset:
        yield from _slow_candidates(srcset)
        return
    for url, descriptors in _CANDIDATE.findall(srcset):
        yield url, _size(descriptors)


def _slow_candidates(srcset: str) -> Iterable[tuple[str, float]]:
    """Candidates of a srcset with parentheses; commas inside them do not count."""
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
    """Return the position of the comma after the descriptors, ignoring commas in parentheses."""
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


@lru_cache(maxsize=4096)
def _size(descriptors: str) -> float:
    for word in descriptors.split():
        found = _DESCRIPTOR.fullmatch(word)
        if found:
            return float(found[1])
    return 1.0


class ImageAddresses:
    """Finds the addresses of images by one set of settings."""

    def __init__(self, settings: ImageSettings) -> None:
        self.settings = settings
        self._singles = {name: rank for rank, name in enumerate(settings.attributes)}

    def resolve(self, elements: Sequence[Attributes], base: str) -> str | None:
        """Return the best absolute http(s) address of an image, or None.

        `elements` are the attributes of the image, then of the <source> elements of its <picture>.
        Candidate lists come first, those of the sources before the image's own, then single
        addresses, then the background of the inline style.
        """
        attributes = elements[0]
        for element in (*elements[1:], attributes):
            if url := self._from_lists(element, base):
                return url
        names = [name for name in attributes if name in self._singles]
        if len(names) > 1:
            names.sort(key=self._singles.__getitem__)
        for name in names:
            value = attributes[name].strip(_SPACES)
            if value and not _SCHEME.match(value) and (url := join(base, value)):
                return url
        style = attributes.get("style")
        found = _BACKGROUND.search(style) if style and self.settings.background else None
        if found and not _SCHEME.match(found[1]):
            return join(base, found[1].strip(_SPACES))
        return None

    def _from_lists(self, attributes: Attributes, base: str) -> str | None:
        for name in self.settings.srcset_attributes:
            candidate = best_candidate(attributes[name]) if name in attributes else None
            if candidate and (url := join(base, candidate)):
                return url
        return None


def pixels(value: str | None) -> int | None:
    """Read a declared width or height in CSS pixels; None for percentages and words."""
    if not value:
        return None
    if len(value) <= 5 and value.isdecimal():
        return int(value)
    found = _SIZE.match(value)
    return int(found[1]) if found else None
