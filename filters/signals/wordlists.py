"""Words on the lists of their language: stop, flagged, common and spam words, looked up by hash.

Stop words come from stopwordsiso, or else from `lists/stop.txt`; flagged words from
`lists/flagged.txt`; common words from wordfreq; spam words from the settings. A language without a
list gives NaN, so that its rules are recorded as unable to judge. In scripts without spaces a
listed word is several words of ours (its characters), and each of them counts where the listed word
occurs.

In scripts without spaces, flagged words of a single character are left out: there a character is
part of many words (性, "sex", also means "quality" and "-ness"), and nothing marks where a word
begins. Entries that begin or end with a digit are left out in all scripts, since our words do not:
of 13点, an insult in Shanghai and one o'clock everywhere else, only 点, "point", would be left.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib import resources
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgpack
import numpy as np
import pyarrow as pa
import stopwordsiso
from numpy.typing import NDArray

from benben.common.hashing import Hashes
from benben.common.text import lines
from benben.filters.declaration import OBELICS, Column, Signal, measured_together, text_ratio
from benben.filters.signals.page import languages
from benben.filters.signals.text import (
    CONTINUOUS,
    SPACE,
    Batch,
    Characters,
    Integers,
    Paragraphs,
    character_tables,
    lay_out,
)
from benben.filters.signals.words import WORD_COUNT, Words, find, words_of
from benben.pipeline import hash_tables
from benben.pipeline.compiled import borrowed, compiled
from benben.pipeline.settings.signals import SignalSettings

KINDS = ("stop", "flagged", "common", "spam")
LONGEST = 4  # characters of the longest listed word that is matched in a script without spaces
_LISTS = resources.files("benben.filters.signals") / "lists"
_Spam = tuple[tuple[str, tuple[str, ...]], ...]


class Listed(NamedTuple):
    """Sorted hashes of a list's entries, by the number of our words that an entry is."""

    by_length: dict[int, Hashes]


def listed_words(kind: str, language: str, settings: SignalSettings) -> list[str]:
    """Return the words of a list; none if the language has no such list."""
    if kind == "spam":
        return list(settings.spam_words.get(language, []))
    if kind == "common":
        return _common(language, settings.common_words)
    if kind == "stop" and stopwordsiso.has_lang(language):
        return sorted(stopwordsiso.stopwords(language))
    return _shipped(kind).get(language, [])


@lru_cache(maxsize=4)
def _shipped(kind: str) -> dict[str, list[str]]:
    entries = lines((_LISTS / f"{kind}.txt").read_text(encoding="utf-8"))
    return {code: listed.split() for code, listed in (line.split("\t") for line in entries)}


def _common(language: str, size: str) -> list[str]:
    """Read wordfreq's list of a language; none if it has no list of that size.

    Its files (a head, and then the words of each frequency) are read here, since importing wordfreq
    was 30% of the time in which a process starts to measure.
    """
    spec = find_spec("wordfreq")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("wordfreq is not installed", name="wordfreq")
    folder = Path(spec.submodule_search_locations[0], "data")
    for name in ("large", "small") if size == "best" else (size,):
        path = folder / f"{name}_{language}.msgpack.gz"
        if path.is_file():
            _, *words = msgpack.unpackb(gzip.decompress(path.read_bytes()))
            return list(dict.fromkeys(chain.from_iterable(words)))
    return []


_known: dict[tuple[str, str, str, str, str, _Spam], Listed | None] = {}


def load(kind: str, language: str, settings: SignalSettings) -> Listed | None:
    """Return a list's hashes, made once per process; None if the language has no such list."""
    spam = tuple((code, tuple(listed)) for code, listed in settings.spam_words.items())
    marks = settings.punctuation, settings.terminal
    key = (kind, language, *marks, settings.common_words, spam)
    if key not in _known:
        listed = listed_words(kind, language, settings)
        tables = character_tables(*marks)
        _known[key] = hash_list(listed, tables, kind != "flagged") if listed else None
    return _known[key]


_tables: dict[tuple[int, ...], hash_tables.Table] = {}


def table(lists: dict[str, Listed]) -> hash_tables.Table:
    """Return the table of the single words of some lists, made once a process.

    A word's value has one bit for each list of KINDS, set if the word is on it.
    """
    key = tuple(id(lists.get(kind)) for kind in KINDS)  # `load` keeps lists for good
    if key not in _tables:
        hashes, flags = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint8)]
        for number, kind in enumerate(KINDS):
            if kind in lists and 1 in lists[kind].by_length:
                hashes.append(lists[kind].by_length[1])
                flags.append(np.full(len(hashes[-1]), 1 << number, np.uint8))
        _tables[key] = hash_tables.make_table(np.concatenate(hashes), np.concatenate(flags))
    return _tables[key]


def hash_list(listed: list[str], tables: Characters, single: bool = True) -> Listed:
    """Hash a list's entries in the way the words of texts are hashed.

    `single`: keep single characters of scripts without spaces.
    """
    listed = [word for word in listed if not (word[0].isdecimal() or word[-1].isdecimal())]
    rows = np.arange(len(listed))
    text = lay_out(pa.array(listed, pa.string()), rows, rows * 0, len(listed), tables)
    found = find(text)
    first = np.searchsorted(found.paragraph, np.arange(len(text)))
    by_length = {}
    for length in range(1, LONGEST + 1):
        chosen = np.flatnonzero(found.counts == length)
        starts, ends = found.starts[first[chosen]], found.ends[first[chosen] + length - 1]
        joined = text.count((text.classes & SPACE) != 0, starts, ends) == 0
        if length == 1 and not single:
            joined &= (text.classes[starts] & CONTINUOUS) == 0
        hashes = text.window_hashes(starts[joined], ends[joined])
        if len(hashes):
            by_length[length] = np.unique(hashes)
    return Listed(by_length)


def count_listed(batch: Batch) -> dict[str, NDArray[np.float64]]:
    """Count the words of each paragraph on its language's lists; NaN where there is no list."""
    text, found = batch.text, batch.once(words_of)
    names = batch.once(languages)[0]
    known = sorted(set(names))
    number = {language: row for row, language in enumerate(known)}
    of_document = np.array([number[language] for language in names], np.int16)
    of_word = of_document[text.document[found.paragraph]]
    flags = np.zeros(len(of_word), np.uint8)
    has_list = np.zeros((len(KINDS), len(known)), np.bool_)
    words = np.argsort(of_word, kind="stable")
    bounds = np.append(0, np.cumsum(np.bincount(of_word, minlength=len(known))))
    for row, language in enumerate(known):
        mine = words[bounds[row] : bounds[row + 1]]
        lists = {
            kind: listed
            for kind in KINDS
            if (listed := load(kind, language, batch.settings)) is not None
        }
        flags[mine] = hash_tables.look_up_each(table(lists), found.hashes[mine])
        for kind, listed in lists.items():
            bit = KINDS.index(kind)
            has_list[bit, row] = True
            flags[mine[_in_longer(text, found, mine, listed)]] |= 1 << bit
    counts = np.zeros((len(KINDS), len(text)), np.float64)
    counts[~has_list[:, of_document[text.document]]] = np.nan
    _count_flags(flags, found.paragraph, counts)
    return dict(zip(KINDS, counts, strict=True))


@compiled
def _count_flags(
    flags: NDArray[np.uint8], paragraph: Integers, counts: NDArray[np.float64]
) -> None:
    """Count the words with each flag in each paragraph, one row per flag."""
    flags, counts = borrowed(flags), borrowed(counts)
    for word in range(len(flags)):
        if flags[word]:
            for row in range(len(counts)):
                counts[row, paragraph[word]] += (flags[word] >> row) & 1


def _in_longer(text: Paragraphs, found: Words, mine: Integers, listed: Listed) -> NDArray[np.bool_]:
    """True for the words (rows of `found`) inside an entry that is several of our words."""
    covered = np.zeros(len(mine), np.bool_)
    for length, hashes in listed.by_length.items():
        if not 1 < length <= len(mine):
            continue
        place = np.empty(len(mine), np.int64)
        place = place[: _find_close(found.starts, found.ends, mine, length, place)]
        begin, end = mine[place], mine[place + length - 1]
        window = text.window_hashes(found.starts[begin], found.ends[end])
        place = place[_contains(hashes, window)]
        for offset in range(length):
            covered[place + offset] = True
    return covered


@compiled
def _find_close(
    starts: Integers, ends: Integers, mine: Integers, length: int, found: Integers
) -> int:
    """Write where so many words follow each other in at most twice as many characters.

    Combining marks lengthen words. Returns how many places there are.
    """
    starts, ends, mine, found = borrowed(starts), borrowed(ends), borrowed(mine), borrowed(found)
    number = 0
    for place in range(len(mine) - length + 1):
        if ends[mine[place + length - 1]] - starts[mine[place]] <= 2 * length:
            found[number] = place
            number += 1
    return number


def _contains(listed: Hashes, hashes: Hashes) -> NDArray[np.bool_]:
    place = np.minimum(np.searchsorted(listed, hashes), len(listed) - 1)
    return np.asarray(listed[place] == hashes)


def _share(name: str, kind: str, meaning: str) -> Signal:
    column = Column(kind, "text_node", pa.int32(), measured_together(count_listed, kind))
    return text_ratio(name, column, WORD_COUNT, meaning, OBELICS)


SIGNALS = (
    _share("stopword_ratio", "stop", "words on the language's list of stop words"),
    _share("flagged_word_ratio", "flagged", "words on the language's list of flagged words"),
    _share("common_word_ratio", "common", "words on the language's list of common words"),
    _share("spam_word_ratio", "spam", "words on the language's list of page furniture"),
)
