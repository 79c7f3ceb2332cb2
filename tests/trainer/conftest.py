from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch = pytest.importorskip("torch")

from tests.trainer.dataset import write_dataset  # noqa: E402
from tests.trainer.ranks import Ranks  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ranks() -> Iterator[Ranks]:
    """Four gloo processes."""
    pool = Ranks()
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made dataset of 300 documents."""
    return write_dataset(tmp_path_factory.mktemp("made"), 300)
