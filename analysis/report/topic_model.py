"""Latent Dirichlet allocation of a collection of texts, and the count of its words.

Blei, Ng, Jordan, "Latent Dirichlet Allocation" (2003), fitted by variational Bayes over the whole
collection as in Hoffman, Blei, Bach, "Online Learning for LDA" (2010), algorithm 1. Start values,
order and tolerances are those of scikit-learn, whose results these equal but for rounding.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from benben.pipeline.compiled import Integers  # which chooses the folder of machine code

Floats = NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])
MAX_ITERATIONS = 20
MAX_STEPS = 100  # for the topics of one document in each iteration
TOLERANCE = 1e-3  # mean change of a document's topics that ends these steps
SEED = 0
_SMALLEST = float(np.finfo(float).eps)  # so that no division is by 0
_WORD = re.compile(r"\b[^\W\d_]{2,}\b")


@dataclass(frozen=True)
class WordCounts:
    """How often each document has each word: rows of a sparse matrix, one after another."""

    starts: Integers  # of each document's entries, and the end of the last one's
    words: Integers  # index in the vocabulary
    counts: Floats

    @property
    def documents(self) -> int:
        """Number of documents."""
        return len(self.starts) - 1


def vocabulary_of(
    texts: Sequence[Counter[str]], least: int, max_share: float, size: int
) -> list[str]:
    """The words in at least `least` texts and at most a share of them, sorted.

    The `size` most frequent are taken.
    """
    documents: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for text in texts:
        documents.update(text.keys())
        total.update(text)
    known = [word for word, n in documents.items() if least <= n <= max_share * len(texts)]
    known.sort(key=lambda word: (-total[word], word))
    return sorted(known[:size])


def words_of(text: str) -> Counter[str]:
    """Count the words of a text: two letters or more, in lower case."""
    return Counter(_WORD.findall(text.lower()))


def count(texts: Sequence[Counter[str]], vocabulary: Sequence[str]) -> WordCounts:
    """Count the words of a vocabulary in texts."""
    index = {word: place for place, word in enumerate(vocabulary)}
    starts, words, counts = [0], [], []
    for text in texts:
        row = sorted((index[word], number) for word, number in text.items() if word in index)
        words += [word for word, _ in row]
        counts += [number for _, number in row]
        starts.append(len(words))
    return WordCounts(
        np.array(starts, np.int64), np.array(words, np.int64), np.array(counts, np.float64)
    )


class TopicModel:
    """Topics as weights of words: `components`, one row a topic."""

    def __init__(self, topics: int, topic_prior: float, word_prior: float) -> None:
        self.topics, self.topic_prior, self.word_prior = topics, topic_prior, word_prior
        self.components: Floats = np.empty((topics, 0))

    def fit(self, texts: WordCounts, vocabulary: int) -> Floats:
        """Fit the topics; return each document's shares of them."""
        random = np.random.RandomState(SEED)
        self.components = random.gamma(100.0, 0.01, (self.topics, vocabulary))
        for _ in range(MAX_ITERATIONS):
            start = random.gamma(100.0, 0.01, (texts.documents, self.topics))
            weights = self._weights()
            _, found = self._documents(texts, weights, start)
            self.components = self.word_prior + (found * weights).T
        return self.shares(texts)

    def shares(self, texts: WordCounts) -> Floats:
        """Return the share of each topic in each document, for the fitted topics."""
        start = np.ones((texts.documents, self.topics))
        found, _ = self._documents(texts, self._weights(), start)
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    def _weights(self) -> Floats:
        """Exponential of the expected logarithm of each word's probability: (words, topics)."""
        return np.ascontiguousarray(np.array([_weights_of(row) for row in self.components]).T)

    def _documents(
        self, texts: WordCounts, weights: Floats, start: Floats
    ) -> tuple[Floats, Floats]:
        found = np.zeros_like(weights)
        rows = texts.starts, texts.words, texts.counts
        _fit_documents(*rows, weights, start, found, self.topic_prior, MAX_STEPS, TOLERANCE)
        return start, found


def _compiled(function: Function) -> Function:
    cached = bool(numba.config.CACHE_DIR)
    return cast(Function, numba.njit(cache=cached, fastmath=True, nogil=True)(function))


@_compiled
def _digamma(x: float) -> float:
    """Derivative of the logarithm of the gamma function, to nine digits (Bernardo, AS 103)."""
    found = 0.0
    while x < 6.0:
        found -= 1.0 / x
        x += 1.0
    inverse = 1.0 / x
    square = inverse * inverse
    series = square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0)))
    return float(found + np.log(x) - 0.5 * inverse - series)


@_compiled
def _weights_of(row: Floats) -> Floats:
    """Exponential of the expected logarithm of each probability under a Dirichlet distribution."""
    total = _digamma(row.sum())
    found = np.empty_like(row)
    for place in range(len(row)):
        found[place] = np.exp(_digamma(row[place]) - total)
    return found


@_compiled
def _fit_documents(
    starts: Integers,
    words: Integers,
    counts: Floats,
    weights: Floats,
    documents: Floats,
    found: Floats,
    prior: float,
    max_steps: int,
    tolerance: float,
) -> None:
    """Fit each document's topics in place, and add what its words say about the topics."""
    topics = documents.shape[1]
    for document in range(len(starts) - 1):
        first, last, mine = starts[document], starts[document + 1], documents[document]
        size = last - first
        columns = np.empty((topics, size))  # the weights of the document's words
        for place in range(size):
            columns[:, place] = weights[words[first + place]]
        scales, theta = np.empty(size), _weights_of(mine)
        for _ in range(max_steps):
            _scale(columns, theta, counts[first:last], scales)
            change = 0.0
            for topic in range(topics):
                value = theta[topic] * _dot(columns[topic], scales) + prior
                change += abs(value - mine[topic])
                mine[topic] = value
            theta = _weights_of(mine)
            if change < tolerance * topics:
                break
        _scale(columns, theta, counts[first:last], scales)
        for place in range(size):
            for topic in range(topics):
                found[words[first + place], topic] += scales[place] * theta[topic]


@_compiled
def _scale(columns: Floats, theta: Floats, counts: Floats, scales: Floats) -> None:
    """Divide each word's count by its expected probability in a document."""
    scales[:] = _SMALLEST
    for topic in range(len(theta)):
        column, weight = columns[topic], theta[topic]
        for place in range(len(column)):
            scales[place] += weight * column[place]
    for place in range(len(scales)):
        scales[place] = counts[place] / scales[place]


@_compiled
def _dot(one: Floats, other: Floats) -> float:
    total = 0.0
    for place in range(len(one)):
        total += one[place] * other[place]
    return total
