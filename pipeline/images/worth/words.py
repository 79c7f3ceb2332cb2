"""Words beside an image: those of its address, and those of the texts around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import unquote, urlsplit

NEAR_WORDS = 40  # words of the texts before an image, and as many of those after it
NEAR_CHARS = 400  # of a text that are read, from the end that is near
NEAR_TEXTS = 8  # on each side
# Scripts written without spaces: their words are pairs of neighbouring characters.
_DENSE = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_DENSE}]+|[^\W\d_{_DENSE}]+")
_FIRST_DENSE = re.compile(f"[{_DENSE}]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ENDING = re.compile(r"\.[A-Za-z]{3,4}$")


def words(text: str) -> list[str]:
    """Words of a text in order: runs of letters in lower case, of dense scripts pairs of letters.

    Digits are none of them.
    """
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        if len(word) == 1 or not _FIRST_DENSE.match(word):
            found.append(word)
        else:
            found.extend(map("".join, pairwise(word)))
    return found


def name_words(url: str) -> list[str]:
    """Words of the file name in an image's address, without its ending.

    Host and folders are left out: they tell where an image comes from, not what it shows.
    """
    try:
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    except ValueError:  # such as a bad IPv6 address
        return []
    return [word for word in words(_CAMEL.sub(" ", _ENDING.sub("", name))) if len(word) > 1]


@dataclass(frozen=True, slots=True)
class Around:
    """The words of the texts around an image node, nearest first."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    others: frozenset[str]  # both, but for the text that is the image's own caption
    position: float  # share of the page's text nodes that stand before the image


def around_images(
    kinds: Sequence[str], texts: Sequence[str | None], captions: Sequence[str | None]
) -> Iterator[Around]:
    """Yield what stands around each image node of a page, in order.

    The arguments are columns of the page's nodes: `kind`, `text` and `caption`. Each text is cut
    into words once, however many images it stands beside.
    """
    shown = [text or "" for kind, text in zip(kinds, texts, strict=True) if kind == "text"]
    found = _Words(shown)
    place = 0
    for kind, caption in zip(kinds, captions, strict=True):
        if kind == "text":
            place += 1
        elif kind == "image":
            before, after = found.before(place), found.after(place)
            others = before + after
            if (
                caption is not None
                and caption in shown[max(0, place - NEAR_TEXTS) : place + NEAR_TEXTS]
            ):
                others = found.before(place, caption) + found.after(place, caption)
            yield Around(before, after, frozenset(others), place / max(1, len(shown)))


class _Words:
    """Words of a page's texts, of which only the ends are read."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._first: dict[int, list[str]] = {}
        self._last: dict[int, list[str]] = {}

    def before(self, place: int, caption: str | None = None) -> tuple[str, ...]:
        """Up to NEAR_WORDS before a place, the last first; without those of the caption."""
        return self._near(
            range(place - 1, max(-1, place - 1 - NEAR_TEXTS), -1), self._of_end, caption
        )

    def after(self, place: int, caption: str | None = None) -> tuple[str, ...]:
        """Up to NEAR_WORDS from a place on; without those of the caption."""
        return self._near(
            range(place, min(len(self._texts), place + NEAR_TEXTS)), self._of_start, caption
        )

    def _near(
        self, places: range, words_of: Callable[[int], list[str]], caption: str | None
    ) -> tuple[str, ...]:
        found: list[str] = []
        for place in places:
            if len(found) >= NEAR_WORDS:
                break
            if caption is None or self._texts[place] != caption:
                found += words_of(place)
        return tuple(found[:NEAR_WORDS])

    def _of_start(self, place: int) -> list[str]:
        if place not in self._first:
            self._first[place] = words(self._texts[place][:NEAR_CHARS])[:NEAR_WORDS]
        return self._first[place]

    def _of_end(self, place: int) -> list[str]:
        if place not in self._last:
            self._last[place] = words(self._texts[place][-NEAR_CHARS:])[: -NEAR_WORDS - 1 : -1]
        return self._last[place]


def overlap(own: Sequence[str], others: frozenset[str]) -> float | None:
    """Share of distinct words that `others` has too; None where there are none."""
    mine = set(own)
    return len(mine & others) / len(mine) if mine else None
