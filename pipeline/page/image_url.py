"""The address that an image shows: from srcset, <source>, lazy-loading attributes, src or a style.

Only a value that looks like an address is one. Addresses of placeholders, and of formats that are
not decoded, count only if there is no other.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from benben.pipeline.page.dom.notes import OTHERS, Attributes
from benben.pipeline.settings.extract import ImageSettings
from benben.pipeline.url import host, join

_SPACES = " \t\n\f\r"
# Possessive quantifiers, so that no input makes a pattern look at a character twice.
_URL = re.compile(r"[ \t\n\f\r,]*+([^ \t\n\f\r]++)")
_DESCRIPTORS = re.compile(r"(?:[^,(]++|\([^)]*+\)?)*+")
_SIZE = re.compile(r"(\d++|\d*+\.\d++)([wx])")
_HEIGHT = re.compile(r"\d++h")
_LIST = re.compile(r"[ \t\n\f\r](?:\d++|\d*+\.\d++)[wx][ \t\n\f\r]*+(?:,|$)")
_SCHEME = re.compile(
    r"(?!https?:)[a-z][a-z0-9+.-]*:", re.I
)  # data:, blob:, about:, javascript: ...
_TEMPLATE = re.compile(
    r"[<>`]|\{\{|\{%|\$\{|\[\[|^[\"'#]|^[{\[]\s*+[\"'{\[]"
    r"|(?:\{|%7B)\s*+(?:[wh]|[a-z_$][\w.$|]{2,99})\s*+(?:\}|%7D)",
    re.I,
)
_TEMPLATE_MARK = re.compile(r"[<>`{\[\"'#]|%7")  # each template has one
_TEX = re.compile(r"\\|%5C", re.I)  # addresses of formulas are full of braces
_WIDTH = re.compile(r"\{w(?:idth)?\}|%7Bw(?:idth)?%7D", re.I)
_WORD = re.compile(r"[a-z]++|(?<![0-9])[0-9]++x[0-9]++")
_CSS_URL = re.compile(
    r"""url\(\s*+(?:"((?:[^"\\]|\\.)*+)"?|'((?:[^'\\]|\\.)*+)'?|"""
    r"""((?:[^"')\\]|\\.)(?:[^)\\]|\\.)*+))""",
    re.I | re.S,
)
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.I | re.S)
_BACKGROUND = re.compile(r"(?:^|[;\s{])(?:background(?:-image)?|--[\w-]+)\s*+:", re.I)
_DECLARED = re.compile(r"\s*+(\d{1,5})(?:\.\d++)?\s*+(?:px\s*+)?$")
_HOST = re.compile(r"\s*+(?:https?:)?//(?:[^/?#@]*+@)?([^/?#:]++)", re.I)
_ENDING = 6  # characters of a path that hold the ending of a file
_MOST_WIDTH = 10_000  # of a template's widths


class Address(NamedTuple):
    """An absolute http(s) address of an image."""

    url: str
    shown: bool  # no placeholder of a picture that scripts load


def best_candidate(srcset: str) -> str | None:
    """Return the largest candidate of a srcset (WHATWG HTML, "parse a srcset attribute").

    Width descriptors are compared with each other, and so are densities; a candidate without a
    descriptor is 1x, one with an unknown descriptor does not count. Of equal ones the first wins.
    """
    return next(_candidates(srcset), None)


def _candidates(srcset: str) -> Iterator[str]:
    """Yield the valid candidates of a srcset, the largest first."""
    found: list[tuple[float, str]] = []
    position = 0
    while match := _URL.match(srcset, position):
        url, position, descriptors = match[1], match.end(), ""
        if url.endswith(","):
            url = url.rstrip(",")
        else:
            behind = _DESCRIPTORS.match(srcset, position)
            descriptors, position = (behind[0], behind.end()) if behind else ("", position)
        size = _size(descriptors)
        if url and size is not None and not _SCHEME.match(url):
            found.append((size, url))
    found.sort(key=lambda one: -one[0])
    return (url for _, url in found)


@lru_cache(maxsize=4096)
def _size(descriptors: str) -> float | None:
    """Return the size that descriptors give; None if they are invalid."""
    size: float | None = None
    if "(" in descriptors:  # reserved for what is not yet specified
        return None
    for word in descriptors.split():
        found = _SIZE.fullmatch(word)
        if found and size is None:
            size = float(found[1])
        elif found or not _HEIGHT.fullmatch(word):
            return None
    return 1.0 if size is None else size


class ImageAddresses:
    """Finds the addresses of images by one set of settings."""

    def __init__(self, settings: ImageSettings) -> None:
        self.settings = settings
        self._singles = {name: rank for rank, name in enumerate(settings.attributes)}
        self._other_names = frozenset(
            (*settings.attributes, *settings.srcset_attributes, *settings.background_attributes)
        ) - {"src"} | {OTHERS, "style"}
        self._types = frozenset(settings.source_types)
        self._no_values = frozenset(settings.no_values)
        self._placeholders = frozenset(settings.placeholders)
        self._beside = frozenset((*settings.placeholders, *settings.placeholder_parts))
        self._undecoded = tuple(f".{name}" for name in settings.undecoded)
        self._other_files = tuple(f".{name}" for name in settings.other_files)
        names = "|".join(map(re.escape, settings.extensions))
        self._image_file = re.compile(rf"\.(?:{names})(?![a-z0-9])", re.I)
        self._media = lru_cache(maxsize=1024)(MediaQueries(*settings.screen).matches)

    def resolve(
        self, elements: Sequence[Attributes], base: str, background: bool = False
    ) -> Address | None:
        """Return the best address of an image, or None.

        `elements` are the attributes of the image, then of the <source> elements of its <picture>;
        of an element with a `background` only what names the background counts. Candidate lists
        come first, those of the sources before the image's own, then single addresses, then any
        other attribute that names an image file, then backgrounds.
        """
        last_choice: Address | None = None
        for reference in self._references(elements, background):
            url = join(base, reference)
            if url is None:
                continue
            file = _last(url)
            if file.endswith(self._undecoded):
                last_choice = last_choice or Address(url, True)
            elif self._is_placeholder(file):
                last_choice = last_choice or Address(url, False)
            else:
                return Address(url, True)
        return last_choice

    def link_target(self, link: str | None, base: str) -> tuple[str | None, str | None]:
        """Return where a link around an image leads, and the address if it is a picture.

        "image": to a file of a picture, as a thumbnail does; "same_host", "other_host": to a page;
        None: there is no link, or it leads nowhere.
        """
        if not link or link[0] == "#":
            return None, None
        if self._image_file.search(link) and self._image_file.search(_last(link)[-_ENDING:]):
            target = join(base, link)
            return ("image", target) if target else (None, None)
        named = _HOST.match(link)
        if not named:
            return (None if _SCHEME.match(link) else "same_host"), None
        return ("same_host" if host(f"http://{named[1]}/") == host(base) else "other_host"), None

    def _references(self, elements: Sequence[Attributes], background: bool) -> Iterator[str]:
        """Yield the values that look like addresses, the best first."""
        image = elements[0]
        if not background and len(elements) == 1 and self._other_names.isdisjoint(image):
            yield from self._values(image.get("src", ""), image, False)
            return
        if not background:
            for element in (*elements[1:], image):
                if element is image or self._applies(element):
                    yield from self._listed(element)
            names = [name for name in image if name in self._singles]
            if len(names) > 1:
                names.sort(key=self._singles.__getitem__)
            for name in names:
                yield from self._values(image[name], image, name != "src")
            if other := image.get(OTHERS):
                yield from self._files(other, image)
        for name in self.settings.background_attributes:
            if name in image:
                yield from self._files(image[name], image)
        if self.settings.background and (style := image.get("style")):
            yield from filter(self._is_address, style_urls(style))

    def _applies(self, source: Attributes) -> bool:
        """Tell whether a browser would use a <source> (HTML, "update the source set")."""
        kind, media = source.get("type"), source.get("media")
        if kind and kind.partition(";")[0].strip().lower() not in self._types:
            return False
        return not media or media.isspace() or self._media(media)

    def _listed(self, attributes: Attributes) -> Iterator[str]:
        for name in self.settings.srcset_attributes:
            for candidate in _candidates(attributes[name]) if name in attributes else ():
                reference = _fill(candidate, attributes)
                if self._is_address(reference):
                    yield reference

    def _values(self, value: str, attributes: Attributes, strict: bool) -> Iterator[str]:
        """Yield the addresses of an attribute made for one, which may hold a list all the same.

        `strict`: a single word is none, although a browser would take it for a file.
        """
        if " " in value and _LIST.search(value):
            yield from filter(self._is_address, _candidates(value))
            return
        reference = _fill(value.strip(_SPACES), attributes)
        if self._is_address(reference) and not (strict and _is_word(reference)):
            yield reference

    def _files(self, value: str, attributes: Attributes) -> Iterator[str]:
        """Yield the addresses of image files in an attribute that may hold anything."""
        found = list(style_urls(f"background:{value}")) if "url(" in value else []
        for reference in found or self._values(value, attributes, True):
            if found or self._image_file.search(reference):
                yield reference

    def _is_address(self, value: str) -> bool:
        """Tell whether a value can be the address of an image."""
        if not value or _SCHEME.match(value):
            return False
        if _TEMPLATE_MARK.search(value) and _TEMPLATE.search(value) and not _TEX.search(value):
            return False
        file = _last(value)
        return file not in self._no_values and not file.endswith(self._other_files)

    def _is_placeholder(self, file: str) -> bool:
        """Tell whether a file name says that it stands in for a picture."""
        words = _WORD.findall(file.rpartition(".")[0] or file)
        return not self._placeholders.isdisjoint(words) and self._beside.issuperset(words)


def _last(address: str) -> str:
    """Return the last part of an address's path in lower case."""
    path = address.partition("?")[0].partition("#")[0]
    return path.rpartition("/")[2].lower()


def _is_word(value: str) -> bool:
    """Tell whether a value has nothing of an address: flags, numbers, names, colours."""
    return not any(mark in value for mark in "./?") or not value.strip("0123456789.,%- ")


def _fill(value: str, attributes: Attributes) -> str:
    """Put the largest of data-widths into a template such as photo_{width}x.jpg."""
    widths = attributes.get("data-widths")
    if not widths or not _WIDTH.search(value):
        return value
    numbers = [int(number) for number in re.findall(r"\d{1,5}", widths)]
    fitting = [number for number in numbers if number <= _MOST_WIDTH]
    return _WIDTH.sub(str(max(fitting)), value) if fitting else value


def style_urls(style: str) -> Iterator[str]:
    """Yield the addresses of backgrounds in an inline style (CSS Syntax 3, 4.3.6)."""
    is_background, end = False, 0
    for found in _CSS_URL.finditer(style):
        begun = style.rfind(";", end, found.start())
        if begun >= 0:
            is_background, end = False, begun
        is_background = is_background or bool(_BACKGROUND.search(style, end, found.start()))
        end = found.end()
        if is_background:
            value = found[1] or found[2] or found[3] or ""
            if not _SCHEME.match(value.strip(_SPACES)):
                yield _CSS_ESCAPE.sub(_unescape, value).strip(_SPACES)


def _unescape(found: re.Match[str]) -> str:
    if found[2]:
        return found[2]
    code = int(found[1], 16)
    return chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else "\ufffd"


def pixels(value: str | None) -> int | None:
    """Read a declared width or height in CSS pixels; None for percentages and words."""
    if not value:
        return None
    if len(value) <= 5 and value.isdecimal():
        return int(value)
    found = _DECLARED.match(value)
    return int(found[1]) if found else None


# Media queries (Media Queries Level 4), as far as pages use them on <source>.

_QUERY = re.compile(r"\(([^()]*+)\)|([a-z-]++)")
_SIGN = re.compile(r"([<>]=?|=)")
_VENDOR = re.compile(r"-(?:webkit|moz|o)-|device-(?!pixel)")
_LENGTH = re.compile(r"(-?(?:\d++\.?\d*+|\.\d++))(px|r?em|pt|cm|mm|in|dppx|dpi|x)?")
_UNITS = {"em": 16.0, "rem": 16.0, "pt": 4 / 3, "cm": 37.8, "mm": 3.78, "in": 96.0, "dpi": 1 / 96}
_SIGNS = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
}
_BOUNDS = {"min-": ">=", "max-": "<="}
_FITTING = {"screen", "all", "only", "and", "or", "not"}
_STATES = {
    "orientation": "landscape", "prefers-color-scheme": "light", "hover": "hover",
    "any-hover": "hover", "pointer": "fine", "any-pointer": "fine", "scripting": "enabled",
    "prefers-reduced-motion": "no-preference", "prefers-reduced-data": "no-preference",
    "prefers-contrast": "no-preference", "display-mode": "browser",
}  # fmt: skip


class MediaQueries:
    """Tells which media queries hold on a screen of a size in CSS pixels, of a density in dots."""

    def __init__(self, width: float, height: float, density: float) -> None:
        self._features = {
            "width": width, "height": height, "aspect-ratio": width / height, "color": 8.0,
            "resolution": density, "device-pixel-ratio": density,
        }  # fmt: skip

    def matches(self, queries: str) -> bool:
        """Tell whether one of the queries of a list holds; what is not understood does not."""
        return any(self._holds(query) for query in queries.lower().split(","))

    def _holds(self, query: str) -> bool:
        found = _QUERY.findall(query)
        words = {word for _, word in found if word}
        tests = [self._test(feature.strip()) for feature, word in found if not word]
        if not found or None in tests:
            return False
        holds = any(tests) if "or" in words else all(tests)
        return (holds and words <= _FITTING) != ("not" in words)

    def _test(self, feature: str) -> bool | None:
        """Return whether a feature holds; None if it is not understood."""
        name, colon, value = (part.strip() for part in feature.partition(":"))
        if name in _STATES:
            return not colon or value == _STATES[name]
        if colon:  # the older form: (min-width: 400px) is (width >= 400px)
            plain = _VENDOR.sub("", name)
            sign = _BOUNDS.get(plain[:4], "=")
            feature = f"{plain[4:] if sign != '=' else plain}{sign}{value}"
        parts = _SIGN.split(feature)
        found = [self._number(part.strip()) for part in parts[::2]]
        numbers = [number for number in found if number is not None]
        if len(numbers) < len(found):
            return None
        pairs = zip(numbers, parts[1::2], numbers[1:], strict=False)
        return all(_SIGNS[sign](left, right) for left, sign, right in pairs) and numbers != [0.0]

    def _number(self, value: str) -> float | None:
        """Return the value of a feature, or a length in CSS pixels, a density, a ratio."""
        if value in self._features:
            return self._features[value]
        over, _, under = value.partition("/")
        found, below = _LENGTH.fullmatch(over.strip()), _LENGTH.fullmatch(under.strip() or "1")
        if found is None or below is None or not float(below[1]):
            return None
        return float(found[1]) * _UNITS.get(found[2] or "", 1.0) / float(below[1])
