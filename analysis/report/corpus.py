"""What the shipped texts are about: their topics, and the phrases that many documents repeat.

Topics are found by latent Dirichlet allocation (`topic_model`), as the authors of OBELICS did
(arXiv 2306.16527, appendix). They are fitted on one language at a time: over several languages they
would only tell the languages apart. Repeated phrases show the boilerplate that filters and
deduplication have left.

Both read a sample: the documents whose ids have the smallest hashes, so every call reads the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import stopwordsiso
from numpy.typing import NDArray

from benben.analysis.query import Query
from benben.analysis.report.topic_model import TopicModel, count, vocabulary_of, words_of
from benben.common.hashing import GOLDEN_GAMMA
from benben.pipeline.dataset.markdown import to_plain
from benben.pipeline.dataset.obelics import BREAK_TEXT

TOPIC_WORDS = 10  # shown for each topic
VOCABULARY_SIZE = 20_000
MAX_DOCUMENT_SHARE = 0.5  # words in more of the documents than this say nothing about a topic
TOPIC_PRIOR, WORD_PRIOR = 0.1, 0.01  # favour few topics per document and few words per topic
DOCUMENTS_PER_TOPIC = 3  # needed at least, or no topics are fitted
MAX_PHRASES = 30
SEED = 0


@dataclass(frozen=True)
class Topic:
    """A topic's most typical words, and its share of the text here and in a reference run."""

    words: tuple[str, ...]
    share: float
    reference: float | None = None


@dataclass(frozen=True)
class Topics:
    """Topics of one language, largest first; when there are none, `why` says the reason."""

    lang: str
    documents: int
    topics: list[Topic]
    why: str = ""


@dataclass(frozen=True)
class Phrase:
    """A sequence of words, and how many documents and hosts contain it."""

    text: str
    documents: int
    hosts: int


def topics(query: Query, number: int, documents: int, reference: Query | None = None) -> Topics:
    """Fit `number` topics on at most `documents` shipped documents of the most frequent language.

    With a reference run, the same topics are also measured on its documents of that language.
    """
    found = query.rows("select lang, count(*) from data group by 1 order by 2 desc, 1 limit 1")
    lang = (found[0][0] if found else None) or ""
    texts = _texts(query, lang, documents)
    if len(texts) < DOCUMENTS_PER_TOPIC * number:
        return Topics(lang, len(texts), [], f"too few documents for {number} topics")
    return _fit(lang, texts, number, _texts(reference, lang, documents) if reference else [])


def phrases(query: Query, words: int, documents: int) -> list[Phrase]:
    """Sequences of `words` words that several of at most `documents` shipped documents contain.

    The most frequent come first. Of overlapping sequences in equally many documents, only the one
    that comes first in the text is listed.
    """
    sample = f"select host, texts from data order by md5(doc_id) limit {int(documents)}"
    rows = [(host, _tokens(texts)) for host, texts in query.rows(sample)]
    keys = _sequence_keys([tokens for _, tokens in rows], words)
    counts = _most_frequent(keys, MAX_PHRASES * words * 4)
    found: dict[int, str] = {}
    hosts: dict[int, set[str]] = {}
    covered: set[int] = set()  # sequences right after another one in equally many documents
    for (host, tokens), mine in zip(rows, keys, strict=True):
        places = np.flatnonzero(np.isin(mine, np.array(list(counts), np.uint64)))
        before, last = 0, -2
        for place, key in zip(places.tolist(), mine[places].tolist(), strict=True):
            found.setdefault(key, " ".join(tokens[place : place + words]))
            hosts.setdefault(key, set()).add(host)
            if place == last + 1 and counts[before] == counts[key]:
                covered.add(key)
            before, last = key, place
    listed = [key for key in found if key not in covered]
    listed.sort(key=lambda key: (-counts[key], found[key]))
    return [Phrase(found[key], counts[key], len(hosts[key])) for key in listed[:MAX_PHRASES]]


def _texts(query: Query, lang: str, limit: int) -> list[str]:
    rows = query.rows(
        f"select texts from data where lang = ? order by md5(doc_id) limit {int(limit)}", lang
    )
    return [_plain(texts) for (texts,) in rows]


def _fit(lang: str, texts: list[str], number: int, reference_texts: list[str]) -> Topics:
    counted = [words_of(text) for text in texts]
    known = stopwordsiso.has_lang(lang)
    stop = {word.lower() for word in stopwordsiso.stopwords(lang)} if known else set()
    found = vocabulary_of(counted, 2, MAX_DOCUMENT_SHARE, VOCABULARY_SIZE)
    vocabulary = [word for word in found if word not in stop]
    if not vocabulary:
        return Topics(lang, len(texts), [], "no word is in two documents")
    model = TopicModel(number, TOPIC_PRIOR, WORD_PRIOR)
    shares = model.fit(count(counted, vocabulary), len(vocabulary)).mean(axis=0)
    reference = None
    if reference_texts:
        others = count([words_of(text) for text in reference_texts], vocabulary)
        reference = model.shares(others).mean(axis=0)
    best = np.argsort(-model.components, axis=1)[:, :TOPIC_WORDS]
    made = [
        Topic(
            tuple(vocabulary[word] for word in best[one]),
            float(shares[one]),
            None if reference is None else float(reference[one]),
        )
        for one in np.argsort(-shares, kind="stable")
    ]
    return Topics(lang, len(texts), made)


def _tokens(texts: list[str | None]) -> list[str]:
    return _plain(texts).casefold().split()


def _plain(texts: list[str | None]) -> str:
    """The texts of a row in one, without marks of Markdown, which are no words."""
    return " ".join(to_plain(text) for text in texts if text and text != BREAK_TEXT)


def _sequence_keys(rows: Iterable[list[str]], words: int) -> list[NDArray[np.uint64]]:
    """For each row, a number for each sequence of `words` tokens: equal for equal sequences.

    It is a polynomial of the tokens' numbers modulo 2^64, with odd coefficients.
    """
    numbers: dict[str, int] = {}
    indices = [[numbers.setdefault(token, len(numbers)) for token in row] for row in rows]
    random = np.random.default_rng(SEED).integers(0, 2**64, len(numbers), np.uint64)
    factor, keys = np.uint64(GOLDEN_GAMMA), []
    for row in indices:
        tokens = random[np.array(row, np.int64)]
        size = max(0, len(tokens) - words + 1)
        found = np.zeros(size, np.uint64)
        for place in range(words):
            found = found * factor + tokens[place : place + size]
        keys.append(found)
    return keys


def _most_frequent(keys: list[NDArray[np.uint64]], limit: int) -> dict[int, int]:
    """In how many rows each key is: the most frequent keys of several rows, at most `limit`."""
    if not keys:
        return {}
    each = np.concatenate([np.unique(row) for row in keys])
    found, numbers = np.unique(each, return_counts=True)
    order = np.argsort(-numbers, kind="stable")[:limit]
    order = order[numbers[order] > 1]
    return dict(zip(found[order].tolist(), numbers[order].tolist(), strict=True))
