"""Word lists by language: stop, flagged, common and spam words, as hashes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import stopwordsiso
from numpy.typing import NDArray

from filters import characters
from filters.paragraphs import Paragraphs, hash_words
from filters.words import Words
from pipeline.settings.signals import SignalSettings

KINDS = ("stop", "flagged", "common", "spam")


@lru_cache(maxsize=256)
def words(kind: str, language: str) -> tuple[str, ...]:
    """A shipped list, or nothing when the language has none."""
    if kind == "stop" and stopwordsiso.has_lang(language):
        return tuple(sorted(stopwordsiso.stopwords(language)))
    return ()


def counts(
    text: Paragraphs, found: Words, languages: list[str], settings: SignalSettings
) -> dict[str, NDArray[np.float64]]:
    """Words of each paragraph on its document's lists; NaN where the language has no list."""
    known = sorted(set(languages))
    number = {language: row for row, language in enumerate(known)}
    of_document = np.array([number[language] for language in languages], np.int64)
    of_word = of_document[text.document[found.paragraph]]
    of_paragraph = of_document[text.document]
    counted = {}
    for kind in KINDS:
        column = np.full(len(text), np.nan)
        for row, language in enumerate(known):
            listed = _hashes(kind, language, _key(settings))
            if listed is None:
                continue
            mine = np.flatnonzero(of_word == row)
            hits = mine[_contains(listed, found.hashes[mine])]
            total = np.bincount(found.paragraph[hits], minlength=len(text))
            column[of_paragraph == row] = total[of_paragraph == row]
        counted[kind] = column
    return counted


def _key(settings: SignalSettings) -> tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...]]:
    spam = tuple((language, tuple(listed)) for language, listed in settings.spam_words.items())
    return settings.punctuation, settings.terminal, spam


@lru_cache(maxsize=512)
def _hashes(
    kind: str, language: str, key: tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...]]
) -> NDArray[np.uint64] | None:
    punctuation, terminal, spam = key
    listed = dict(spam).get(language, ()) if kind == "spam" else words(kind, language)
    if not listed:
        return None
    return hash_words(list(listed), characters.tables(punctuation, terminal))


def _contains(listed: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    place = np.minimum(np.searchsorted(listed, hashes), len(listed) - 1)
    return np.asarray(listed[place] == hashes)
