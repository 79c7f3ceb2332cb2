from __future__ import annotations

from pathlib import Path

import pytest

from benben.analysis.dataset_card import card
from tests.analysis.run_folder import make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished run with its card; takedowns work on copies of it."""
    output = make(tmp_path_factory.mktemp("run"))
    card.write(output)
    return Path(output)
