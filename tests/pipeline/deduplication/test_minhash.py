"""Sketches against exact similarity, theory, and datasketch."""

from __future__ import annotations

import random

import numpy as np
import pytest
from datasketch import MinHash
from datasketch.lsh import _optimal_param

from benben.common.hashing import mix64
from benben.pipeline import config
from benben.pipeline.deduplication import banding, minhash

SLOTS = 112


def sets(similar: float, size: int, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of random sets of a given Jaccard similarity, as hashes and offsets."""
    shared = round(2 * size * similar / (1 + similar))
    own = size - shared
    count = pairs * (shared + 2 * own)
    values = mix64(np.arange(1, count + 1, dtype=np.uint64)).reshape(pairs, shared + 2 * own)
    one, other = values[:, :size], np.hstack([values[:, :shared], values[:, size:]])
    hashes = np.stack([one, other], axis=1).ravel()
    return hashes, np.arange(2 * pairs + 1) * size


@pytest.mark.parametrize("size", [1, 7, 60, 1000])
@pytest.mark.parametrize("similar", [0.0, 0.5, 0.8, 1.0])
def test_slots_agree_as_often_as_sets_overlap(similar: float, size: int) -> None:
    hashes, offsets = sets(similar, size, 300)
    shared = round(2 * size * similar / (1 + similar))
    exact = shared / (2 * size - shared)
    slots = minhash.signatures(hashes, offsets, SLOTS, seed=1)
    agreeing = (slots[::2] == slots[1::2]).mean()
    assert agreeing == pytest.approx(exact, abs=0.02)


def test_pairs_share_a_band_as_often_as_theory_says() -> None:
    for similar in (0.6, 0.7, 0.8):
        slots = minhash.signatures(*sets(similar, 500, 2000), SLOTS, seed=3)
        keys = minhash.band_keys(slots, bands=14)
        shared = (keys[::2] == keys[1::2]).any(axis=1).mean()
        assert shared == pytest.approx(banding.candidate_probability(similar, 14, 8), abs=0.04)


def test_estimates_are_as_good_as_those_of_datasketch() -> None:
    draw = random.Random(5)
    ours, theirs = [], []
    for _ in range(60):
        similar = draw.random()
        hashes, offsets = sets(similar, 300, 1)
        one, other = hashes[:300], hashes[300:]
        exact = len(np.intersect1d(one, other)) / len(np.union1d(one, other))
        compact = minhash.compact(minhash.signatures(hashes, offsets, SLOTS, seed=2))
        ours.append(float(minhash.similarity(compact[0], compact[1])) - exact)
        peers = []
        for values in (one, other):
            peer = MinHash(num_perm=SLOTS, seed=2)
            peer.update_batch([value.tobytes() for value in values])
            peers.append(peer)
        theirs.append(peers[0].jaccard(peers[1]) - exact)
    assert np.std(ours) < 1.3 * np.std(theirs)
    assert abs(np.mean(ours)) < 0.02


def test_shipped_bands_are_those_datasketch_chooses() -> None:
    """For a threshold of 0.7 where a missed pair weighs more than a needless comparison."""
    settings = config.load("default", ["input=[x]"]).fingerprint
    assert (settings.bands, settings.rows) == _optimal_param(0.7, settings.slots, 0.3, 0.7)


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.6, 0.75, 0.8, 0.9, 0.97])
@pytest.mark.parametrize("slots", [5, 64, 112])
def test_bands_of_a_threshold_are_those_datasketch_chooses(threshold: float, slots: int) -> None:
    for weights in ((0.5, 0.5), (0.3, 0.7)):
        chosen = banding.best_bands(threshold, slots, weights)
        assert chosen == _optimal_param(threshold, slots, *weights)


def test_signatures_depend_on_neither_order_nor_repeats_nor_company() -> None:
    hashes, _ = sets(0.5, 400, 1)
    whole = minhash.signatures(hashes, np.array([0, 400, 800]), SLOTS, seed=1)
    shuffled = np.random.default_rng(0).permutation(np.concatenate([hashes[:400], hashes[:90]]))
    alone = minhash.signatures(shuffled, np.array([0, len(shuffled)]), SLOTS, seed=1)
    assert (alone[0] == whole[0]).all()


def test_a_document_without_shingles_spoils_no_other() -> None:
    hashes, _ = sets(0.5, 50, 1)
    slots = minhash.signatures(hashes[:50], np.array([0, 0, 50, 50]), SLOTS, seed=1)
    alone = minhash.signatures(hashes[:50], np.array([0, 50]), SLOTS, seed=1)
    assert (slots[1] == alone[0]).all()
    assert not slots[[0, 2]].any()


def test_bands_of_unlike_places_never_meet() -> None:
    slots = np.ones((1, SLOTS), np.uint32)
    assert len(set(minhash.band_keys(slots, 14)[0].tolist())) == 14
