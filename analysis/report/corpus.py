"""What the shipped texts are about: their topics, and the phrases that many documents repeat.

Topics are found by latent Dirichlet allocation (Blei, Ng, Jordan 2003), as the authors of OBELICS
did (arXiv 2306.16527, appendix). This needs scikit-learn (extra `topics`). Topics are fitted on one
language at a time: over several languages they would only tell the languages apart. Repeated
phrases show the boilerplate that filters and deduplication have left.

Both read a sample: the documents whose ids have the smallest hashes, so every call reads the same.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import dataclass

import numpy as np
import stopwordsiso
import xxhash

from benben.analysis.query import Query
from benben.pipeline.dataset.markdown import to_plain
from benben.pipeline.dataset.obelics import BREAK_TEXT

TOPIC_WORDS = 10  # shown for each topic
VOCABULARY_SIZE = 20_000
MAX_DOCUMENT_SHARE = 0.5  # words in more of the documents than this say nothing about a topic
MAX_ITERATIONS = 20
SEED = 0
TOPIC_PRIOR, WORD_PRIOR = 0.1, 0.01  # favour few topics per document and few words per topic
DOCUMENTS_PER_TOPIC = 3  # needed at least, or no topics are fitted
MAX_PHRASES = 30


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
    if importlib.util.find_spec("sklearn") is None:
        return Topics(lang, 0, [], "scikit-learn is not installed: pip install benben[topics]")
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
    counts: Counter[int] = Counter()
    rows = [(host, _tokens(texts)) for host, texts in query.rows(sample)]
    for _, tokens in rows:
        counts.update(set(_keys(tokens, words)))
    frequent = {key for key, number in counts.most_common(MAX_PHRASES * words * 4) if number > 1}
    found: dict[int, str] = {}
    hosts: dict[int, set[str]] = {}
    covered: set[int] = set()  # sequences right after another one in equally many documents
    for host, tokens in rows:
        before = 0
        for place, key in enumerate(_keys(tokens, words)):
            if key in frequent:
                found.setdefault(key, " ".join(tokens[place : place + words]))
                hosts.setdefault(key, set()).add(host)
                if before and counts[before] == counts[key]:
                    covered.add(key)
            before = key if key in frequent else 0
    listed = [key for key in found if key not in covered]
    listed.sort(key=lambda key: (-counts[key], found[key]))
    return [Phrase(found[key], counts[key], len(hosts[key])) for key in listed[:MAX_PHRASES]]


def _texts(query: Query, lang: str, limit: int) -> list[str]:
    rows = query.rows(
        f"select texts from data where lang = ? order by md5(doc_id) limit {int(limit)}", lang
    )
    return [_plain(texts) for (texts,) in rows]


def _fit(lang: str, texts: list[str], number: int, reference_texts: list[str]) -> Topics:
    from sklearn.decomposition import LatentDirichletAllocation
    from sklearn.feature_extraction.text import CountVectorizer

    known = stopwordsiso.has_lang(lang)
    stop = {word.lower() for word in stopwordsiso.stopwords(lang)} if known else set()
    counter = CountVectorizer(
        max_df=MAX_DOCUMENT_SHARE,
        min_df=2,
        max_features=VOCABULARY_SIZE,
        token_pattern=r"(?u)\b[^\W\d_]{2,}\b",
    )
    try:
        counts = counter.fit_transform(texts)
    except ValueError:
        return Topics(lang, len(texts), [], "no word is in two documents")
    vocabulary = counter.get_feature_names_out()
    kept = np.array([word not in stop for word in vocabulary], bool)
    model = LatentDirichletAllocation(
        number,
        doc_topic_prior=TOPIC_PRIOR,
        topic_word_prior=WORD_PRIOR,
        max_iter=MAX_ITERATIONS,
        random_state=SEED,
    )
    shares = model.fit_transform(counts[:, kept]).mean(axis=0)
    reference = None
    if reference_texts:
        reference = model.transform(counter.transform(reference_texts)[:, kept]).mean(axis=0)
    best = np.argsort(-model.components_, axis=1)[:, :TOPIC_WORDS]
    made = [
        Topic(
            tuple(vocabulary[kept][best[one]]),
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


def _keys(tokens: list[str], words: int) -> list[int]:
    """A hash of each sequence of `words` tokens."""
    sequences = (" ".join(tokens[s : s + words]) for s in range(len(tokens) - words + 1))
    return [xxhash.xxh3_64_intdigest(one.encode("utf-8", "replace")) for one in sequences]
