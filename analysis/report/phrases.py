"""Phrases that many documents repeat: what deduplication and filters have left of boilerplate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import xxhash

from benben.analysis.query import Query
from benben.pipeline.dataset.obelics import BREAK_TEXT

SHOWN = 30


@dataclass(frozen=True)
class Phrase:
    """A run of words and how many documents and hosts have it."""

    text: str
    documents: int
    hosts: int


def phrases(query: Query, words: int, documents: int) -> list[Phrase]:
    """Runs of `words` words in several of up to `documents` shipped documents, the most first.

    Of overlapping runs that the same number of documents have, the first in the text is told.
    """
    sample = f"select host, texts from data order by md5(doc_id) limit {int(documents)}"
    counts: Counter[int] = Counter()
    rows = [(host, _split(texts)) for host, texts in query.rows(sample)]
    for _, tokens in rows:
        counts.update(set(_keys(tokens, words)))
    often = {key for key, number in counts.most_common(SHOWN * words * 4) if number > 1}
    found: dict[int, str] = {}
    hosts: dict[int, set[str]] = {}
    covered: dict[int, int] = {}  # run -> the run before it in a text, of as many documents
    for host, tokens in rows:
        before = 0
        for place, key in enumerate(_keys(tokens, words)):
            if key in often:
                found.setdefault(key, " ".join(tokens[place : place + words]))
                hosts.setdefault(key, set()).add(host)
                if before and counts[before] == counts[key]:
                    covered.setdefault(key, before)
            before = key if key in often else 0
    told = [key for key in found if key not in covered]
    told.sort(key=lambda key: (-counts[key], found[key]))
    return [Phrase(found[key], counts[key], len(hosts[key])) for key in told[:SHOWN]]


def _split(texts: list[str | None]) -> list[str]:
    return " ".join(text for text in texts if text and text != BREAK_TEXT).casefold().split()


def _keys(tokens: list[str], words: int) -> list[int]:
    runs = (" ".join(tokens[s : s + words]) for s in range(len(tokens) - words + 1))
    return [xxhash.xxh3_64_intdigest(run.encode("utf-8", "replace")) for run in runs]
