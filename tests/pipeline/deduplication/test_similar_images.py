"""Perceptual hashes within a Hamming distance."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from benben.pipeline.deduplication import similar_images
from benben.pipeline.settings.deduplicate import SimilarImageSettings

SETTINGS = SimilarImageSettings(radius=4, blocks=6, max_compared=100, min_bits=16)


def flipped(value: int, bits: int, draw: random.Random) -> int:
    for bit in draw.sample(range(64), bits):
        value ^= 1 << bit
    return value


def test_hashes_within_the_radius_share_a_key_and_few_others_do() -> None:
    draw = random.Random(1)
    values = [draw.getrandbits(64) for _ in range(300)]
    for distance in range(SETTINGS.radius + 1):
        others = [flipped(value, distance, draw) for value in values]
        keys = [
            similar_images.block_keys(np.array(some, np.uint64), SETTINGS)
            for some in (values, others)
        ]
        assert (keys[0] == keys[1]).any(axis=1).all(), distance
    keys = similar_images.block_keys(np.array(values, np.uint64), SETTINGS)
    assert (keys[1:] == keys[:-1]).any(axis=1).mean() < 0.01
    assert keys.shape[1] == 15


def test_pairs_are_those_of_comparing_all() -> None:
    draw = random.Random(2)
    values = [draw.getrandbits(64) for _ in range(40)]
    values += [flipped(value, draw.randrange(1, 9), draw) for value in values]
    hashes = np.unique(np.array(values, np.uint64))
    expected = {
        (int(b), int(a)) for a in hashes for b in hashes if a < b and (int(a ^ b)).bit_count() <= 4
    }
    found = [
        pair
        for ends in similar_images.near_pairs(hashes, 4, 10_000)
        for pair in zip(*ends, strict=True)
    ]
    assert {(int(a), int(b)) for a, b in found} == expected
    assert len(found) == len(expected) > 10


def test_every_member_is_near_its_leader_so_chains_are_cut() -> None:
    chain = np.array([(1 << number) - 1 for number in range(0, 33, 3)], np.uint64)
    found = similar_images.leaders(chain, 4)
    assert (np.bitwise_count(found ^ chain) <= 4).all()
    assert 1 < len(np.unique(found)) < len(chain)
    assert (found[found == chain] == chain[found == chain]).all()


def test_the_nearest_item_is_named_and_only_within_the_radius() -> None:
    items = np.array([0xFFFF, 0xFF00FF], np.uint64)
    found = similar_images.nearest(np.array([0xFFFE, 0xFF00F0, 0x0], np.uint64), items, 4)
    assert found.tolist() == [0, 1, -1]
    assert similar_images.nearest(items, items[:0], 4).tolist() == [-1, -1]


def test_hashes_of_pictures_without_content_are_none() -> None:
    column = pa.array(["00000000ffffffff", None, "8000000000000000", "not sixteen"])
    hashes, there = similar_images.parse(column, 16)
    assert there.tolist() == [True, False, False, False]
    assert hashes.tolist() == [0xFFFFFFFF, 0, 0, 0]
    assert similar_images.from_nodes(similar_images.as_nodes(hashes)).tolist() == hashes.tolist()


def test_fewer_blocks_than_bits_that_may_differ_are_refused() -> None:
    with pytest.raises(ValidationError, match="blocks must be more than radius"):
        SimilarImageSettings(radius=4, blocks=4, max_compared=100, min_bits=0)
