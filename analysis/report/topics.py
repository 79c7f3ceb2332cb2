"""What the documents are about: latent Dirichlet allocation, as OBELICS's authors looked at theirs.

Source: Blei, Ng, Jordan (2003); OBELICS (arXiv 2306.16527), appendix. Needs scikit-learn (extra
`topics`). One language at a time: topics over several languages would be the languages.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np
import stopwordsiso

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
