from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benben.pipeline.dataset import splits
from benben.pipeline.settings.ship import SplitSettings

SETTINGS = SplitSettings(validation=0.2, test=0.3, near=0.5)
HOSTS = st.integers(0, 30)
HELD = st.dictionaries(HOSTS, st.sampled_from(["validation", "test"]), max_size=20)


def test_hosts_are_held_out_by_their_names_alone_and_in_the_shares_asked() -> None:
    keys = np.array([splits.host_key(f"host{number}.example") for number in range(20_000)])
    places = splits.by_hash(keys, SETTINGS)
    shares = np.bincount(places, minlength=3) / len(keys)
    assert np.allclose(shares, [0.5, 0.2, 0.3], atol=0.02)
    assert (splits.by_hash(keys[::-1].copy(), SETTINGS)[::-1] == places).all()


def test_no_shares_hold_nothing_out() -> None:
    keys = np.array([splits.host_key(str(number)) for number in range(100)])
    assert not splits.by_hash(keys, SplitSettings(validation=0, test=0, near=0.5)).any()


def test_a_held_out_host_near_train_goes_there_and_takes_its_kin() -> None:
    held = {1: "validation", 2: "validation", 3: "test", 4: "test"}
    assert splits.resolve(held, [(2, 1), (1, 99)]) == {
        **dict.fromkeys((1, 2), "train"),
        **dict.fromkeys((3, 4), "test"),
    }
    assert splits.resolve(held, [(3, 4)]) == held
    assert splits.resolve(held, [(1, 3)])[1] == "train"


@given(HELD, st.lists(st.tuples(HOSTS, HOSTS), max_size=40))
def test_near_hosts_are_never_in_two_splits(
    held: dict[int, str], near: list[tuple[int, int]]
) -> None:
    resolved = splits.resolve(held, near)
    assert resolved.keys() == held.keys()
    assert all(split in ("train", held[host]) for host, split in resolved.items())
    for one, other in near:
        assert resolved.get(one, "train") == resolved.get(other, "train")
    assert splits.resolve(held, reversed(near)) == resolved
