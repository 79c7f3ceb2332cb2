"""One hash function, in all the forms that it is used in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benben.common import hashing
from benben.filters.signals import text
from tests.import_graph import python_files
from tests.shared import ROOT

# The first outputs of the authors' C code (prng.di.unimi.it/splitmix64.c) with the seed 0.
PUBLISHED = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
VALUES = np.random.default_rng(1).integers(0, 2**64, 1000, np.uint64, endpoint=False)


def test_hashes_are_those_of_the_published_code() -> None:
    states = np.arange(3, dtype=np.uint64) * np.uint64(hashing.GOLDEN_GAMMA)
    assert hashing.splitmix64(states).tolist() == PUBLISHED


def test_compiled_and_signed_forms_give_the_same_bits() -> None:
    hashes = hashing.splitmix64(VALUES)
    assert [text.splitmix64(value) for value in VALUES] == hashes.tolist()
    tensor = torch.from_numpy(VALUES.view(np.int64)) + hashing.signed(hashing.GOLDEN_GAMMA)
    assert (hashing.mix64_signed(tensor).numpy().view(np.uint64) == hashes).all()


@pytest.mark.parametrize("number", [hashing.GOLDEN_GAMMA, *hashing.FACTORS], ids=hex)
def test_the_hash_is_written_in_one_file(number: int) -> None:
    digits = f"{number:x}"
    holders = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if digits in path.read_text(encoding="utf-8").lower().replace("_", "")
    ]
    assert holders == ["benben/common/hashing.py"]
