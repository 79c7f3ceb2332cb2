from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
