"""Fixtures for all tests."""

from __future__ import annotations

import os

# Before numpy is imported: threads of BLAS in several processes wait for each other's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Tests depend neither on how busy a machine is nor on chance.
# `--hypothesis-profile=search` tries new inputs.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark session for the whole test run."""
    from benben.jobs.engine import session
    from benben.pipeline.settings.spark import SparkSettings

    found = session.start(SparkSettings(master="local[2]"), "tests")
    yield found
    found.stop()
