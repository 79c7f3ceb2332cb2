"""Training of the weights of words that the content score reads (see page/score/surroundings.py).

A block is judged by weights that saw no page of its domain, in training as in use: the network
would trust weights that know the very texts it learns from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benben.pipeline.compiled import Integers, compiled
from benben.pipeline.hash_tables import Table, make_table
from benben.pipeline.page.score.surroundings import SCALE, Words, pair_key
from benchmarks.extraction.content_score_data import Rows
from benchmarks.support.network import Texts, fit_words

DOMAINS = 10  # that use a word, at least
PENALTY = 0.5  # on the squared weights


def word_weights(pages: Sequence[Rows]) -> Table:
    """Fit the weights of the words and pairs of words that enough domains of some pages use."""
    found = [with_pairs(*page.words) for page in pages]
    words = np.concatenate([own.keys for own in found])
    counts = np.concatenate([np.diff(own.starts) for own in found])
    known = _known(found, [page.page.domain for page in pages])
    places = np.minimum(np.searchsorted(known, words), len(known) - 1)
    kept = known[places] == words
    texts = Texts(
        places[kept],
        np.append(0, np.cumsum(kept))[np.append(0, np.cumsum(counts))],
        1 / np.sqrt(np.maximum(counts, 1)),
        np.concatenate([page.labels for page in pages]) >= 0.5,
        np.concatenate([page.weights for page in pages]) * (counts > 0),
    )
    weights = np.round(fit_words(texts, len(known), PENALTY) * SCALE)
    return make_table(known, weights.astype(np.int16))


def _known(found: Sequence[Words], domains: Sequence[str]) -> Integers:
    """Return the keys that enough domains use, in order."""
    by_domain: dict[str, list[Integers]] = {}
    for own, domain in zip(found, domains, strict=True):
        by_domain.setdefault(domain, []).append(own.keys)
    used = [np.unique(np.concatenate(keys)) for keys in by_domain.values()]
    keys, counts = np.unique(np.concatenate(used), return_counts=True)
    return keys[counts >= DOMAINS]


@compiled
def with_pairs(keys: Integers, starts: Integers) -> Words:
    """Return the words of texts, each followed by its pair with the word before it."""
    found, ends = np.empty(2 * len(keys), np.int64), np.zeros(len(starts), np.int64)
    number = 0
    for text in range(len(starts) - 1):
        for place in range(starts[text], starts[text + 1]):
            found[number] = keys[place]
            number += 1
            if place > starts[text]:
                found[number] = pair_key(keys[place - 1], keys[place])
                number += 1
        ends[text + 1] = number
    return Words(found[:number], ends)
