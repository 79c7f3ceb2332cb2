"""A small run, and what searches look at of it."""

from __future__ import annotations

import pytest

from benben.analysis.explore.index import Index
from benben.analysis.tables import RunTables
from tests.analysis.run_folder import make


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def index(output: str) -> Index:
    return Index(RunTables(output))
