from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from benben.trainer.counter_rng import generator
from benben.trainer.data.order import Mixture, Stream, language_weights
from benben.trainer.data.packing import fit


def stream(documents: int = 1000, name: str = "a", corpus: int = 0, block: int = 128) -> Stream:
    sizes = np.full(documents // 50, 50)
    return Stream(corpus, sizes, block, 7, name)


def test_an_epoch_is_a_permutation_and_epochs_differ() -> None:
    s = stream()
    first, second = (s.take(e * 1000, (e + 1) * 1000) for e in (0, 1))
    assert {e for e, _ in first} == {0}
    assert sorted(d for _, d in first) == sorted(d for _, d in second) == list(range(1000))
    assert [d for _, d in first] != [d for _, d in second]
    near = np.mean([abs(a - b) < 5 for (_, a), (_, b) in pairwise(first)])
    assert near < 0.2


def test_any_slice_is_the_slice_of_the_whole() -> None:
    s = stream()
    whole = s.take(0, 2500)
    random = generator("slices")
    for _ in range(30):
        a, b = sorted(random.integers(0, 2500, 2).tolist())
        assert s.take(a, b) == whole[a:b]


def test_a_block_touches_few_row_groups() -> None:
    picks = [d // 50 for _, d in stream(block=100).take(0, 100)]
    assert len(set(picks)) <= 3


def test_mixtures_hold_their_weights_exactly() -> None:
    mixture = Mixture([stream(), stream(name="b", corpus=1)], [0.74, 0.26], 64)
    picks = [pick for k in range(50) for pick in mixture.window(k)]
    count = Counter(pick.corpus for pick in picks)
    assert count[1] == int(50 * 64 * 0.26)
    documents = [pick.document for pick in picks if pick.corpus == 1]
    assert sorted(documents) == sorted(set(documents)), "a document before the epoch's end twice"


@pytest.mark.parametrize("size", [1, 3, 7, 64])
@pytest.mark.parametrize("weights", [[0.74, 0.26], [1.0, 9.0], [0.05, 0.95]])
def test_an_epoch_of_a_mixture_ends_with_the_last_document(size: int, weights: list[float]) -> None:
    streams = [stream(), stream(name="b", corpus=1)]
    mixture = Mixture(streams, weights, size)
    seen = [
        {pick for pick in mixture.window(number) if pick.epoch == 0}
        for number in range(mixture.epoch() + 2)
    ]
    whole = set[object]().union(*seen)
    assert len(whole) == sum(one.length for one in streams)
    assert set[object]().union(*seen[: mixture.epoch()]) == whole
    assert set[object]().union(*seen[: mixture.epoch() - 1]) < whole


def test_a_stream_of_one_language_has_its_documents() -> None:
    ids = np.arange(3, 1000, 7)
    s = Stream(0, np.full(20, 50), 128, 7, "a/sw", ids)
    assert sorted(d for _, d in s.take(0, len(ids))) == ids.tolist()
    with pytest.raises(ValueError, match="no documents"):
        Stream(0, np.full(20, 50), 128, 7, "a/xx", np.array([], int))


def test_language_weights() -> None:
    counts = {"en": 10000, "sw": 100}
    assert language_weights(counts, {"sw": 2.0}) == {"sw": 2.0}
    tempered = language_weights(counts, 0.5)
    assert tempered["en"] / tempered["sw"] == pytest.approx(10)


def test_packing_is_97_percent_full_at_4096() -> None:
    """Document lengths as OBELICS's: log-normal with a median of some 600 tokens, long ones cut."""
    random = generator("lengths")
    lengths = np.minimum(random.lognormal(6.4, 0.9, 1024).astype(int) + 8, 4096).tolist()
    bins = fit(lengths, 4096)
    assert sorted(i for b in bins for i in b) == list(range(1024))
    assert all(sum(lengths[i] for i in b) <= 4096 for b in bins)
    naive, room = 1, 4096
    for length in lengths:
        naive, room = (naive, room - length) if length <= room else (naive + 1, 4096 - length)
    assert sum(lengths) / (4096 * len(bins)) >= 0.97
    assert sum(lengths) / (4096 * naive) < 0.93


def test_an_item_too_long_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        fit([5, 11], 10)
