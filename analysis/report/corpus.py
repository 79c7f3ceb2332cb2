"""What the shipped texts are about: their topics, and the phrases that many documents repeat.

Topics are found by latent Dirichlet allocation (Blei, Ng, Jordan 2003), as the authors of OBELICS
did (arXiv 2306.16527, appendix). This needs scikit-learn (extra `topics`). Topics are fitted on one
language at a time: over several languages they would only tell the languages apart. Repeated
phrases are boilerplate that filters and deduplication have left.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import dataclass

import numpy as np
import stopwordsiso
import xxhash

from benben.analysis.query import Query
from benben.pipeline.dataset.obelics import BREAK_TEXT

WORDS = 10  # told of a topic
VOCABULARY = 20_000
SHARE = 0.5  # of the documents; more frequent words say nothing of a topic
PASSES = 20
SEED = 0
TOPIC_PRIOR, WORD_PRIOR = 0.1, 0.01  # few topics a document, few words a topic


@dataclass(frozen=True)
class Topic:
    """One topic: its share of the documents' text here and in a reference, and its words."""

    words: tuple[str, ...]
    share: float
    reference: float | None = None


@dataclass(frozen=True)
class Topics:
    """Topics of one language, the largest first; none and a reason when there are none."""

    lang: str
    documents: int
    topics: list[Topic]
    why: str = ""


def topics(query: Query, number: int, documents: int, reference: Query | None = None) -> Topics:
    """Fit `number` topics on up to `documents` shipped documents of the most frequent language.

    The documents are those whose ids' hashes are smallest: the same in every call.
    """
    found = query.rows("select lang, count(*) from data group by 1 order by 2 desc, 1 limit 1")
    lang = (found[0][0] if found else None) or ""
    if importlib.util.find_spec("sklearn") is None:
        return Topics(lang, 0, [], "scikit-learn is not installed: pip install benben[topics]")
    texts = _texts(query, lang, documents)
    if len(texts) < 3 * number:
        return Topics(lang, len(texts), [], f"too few documents for {number} topics")
    return _fit(lang, texts, number, _texts(reference, lang, documents) if reference else [])


def _texts(query: Query, lang: str, limit: int) -> list[str]:
    rows = query.rows(
        f"select texts from data where lang = ? order by md5(doc_id) limit {int(limit)}", lang
    )
    return [" ".join(text for text in texts if text and text != BREAK_TEXT) for (texts,) in rows]


def _fit(lang: str, texts: list[str], number: int, others: list[str]) -> Topics:
    from sklearn.decomposition import LatentDirichletAllocation
    from sklearn.feature_extraction.text import CountVectorizer

    known = stopwordsiso.has_lang(lang)
    stop = {word.lower() for word in stopwordsiso.stopwords(lang)} if known else set()
    counter = CountVectorizer(
        max_df=SHARE, min_df=2, max_features=VOCABULARY, token_pattern=r"(?u)\b[^\W\d_]{2,}\b"
    )
    try:
        counts = counter.fit_transform(texts)
    except ValueError:
        return Topics(lang, len(texts), [], "no word is in two documents")
    names = counter.get_feature_names_out()
    kept = np.array([name not in stop for name in names], bool)
    model = LatentDirichletAllocation(
        number,
        doc_topic_prior=TOPIC_PRIOR,
        topic_word_prior=WORD_PRIOR,
        max_iter=PASSES,
        random_state=SEED,
    )
    shares = model.fit_transform(counts[:, kept]).mean(axis=0)
    theirs = model.transform(counter.transform(others)[:, kept]).mean(axis=0) if others else None
    best = np.argsort(-model.components_, axis=1)[:, :WORDS]
    made = [
        Topic(tuple(names[kept][best[one]]), float(shares[one]),
              None if theirs is None else float(theirs[one]))
        for one in np.argsort(-shares, kind="stable")
    ]  # fmt: skip
    return Topics(lang, len(texts), made)


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
