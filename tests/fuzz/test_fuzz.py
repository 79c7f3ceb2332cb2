"""Every parser takes any bytes: no exception but the expected ones, the same result each time.

`python -m tests.fuzz.many TARGET NUMBER` tries as many inputs as you like.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, mutated

FEW = {"config": 6}  # inputs of targets that take long


def same_twice(name: str, data: bytes) -> None:
    target = TARGETS[name]
    assert target.run(data) == target.run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_once_failed(name: str) -> None:
    for data in (b"", *TARGETS[name].found, *TARGETS[name].seeds()):
        same_twice(name, data)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs(name: str) -> None:
    for seed in range(FEW.get(name, 60)):
        same_twice(name, mutated(TARGETS[name], seed))


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in FEW])
@settings(max_examples=30)
@given(st.data())
def test_any_bytes(name: str, data: st.DataObject) -> None:
    words = st.sampled_from([b"", *TARGETS[name].words])
    parts = data.draw(st.lists(st.one_of(words, st.binary(max_size=40)), max_size=8))
    same_twice(name, b"".join(parts))
