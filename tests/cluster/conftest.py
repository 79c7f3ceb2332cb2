"""Fixtures of the tests on a cluster: its processes, the served sample, what it should become."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benben.jobs.engine import session
from benben.sample.build import build
from benben.sample.demo import free_port
from benben.sample.serve import serving
from deploy.standalone import Cluster
from tests.cluster import chain, submit


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A master and two workers."""
    session.use_bundled_java()
    found = Cluster(tmp_path / "cluster")
    try:
        yield found.start()
    finally:
        submit.stop()
        found.stop()


@pytest.fixture(scope="session")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's archives, for a port that is free now."""
    site, port = tmp_path_factory.mktemp("site"), free_port(8899)
    build(site, port=port, pages=8)
    (site / "port").write_text(str(port))
    return site / "crawl-data"


@pytest.fixture(scope="session")
def sample(crawl: Path) -> Iterator[list[str]]:
    """Arguments of a run on the sample, whose site is served."""
    port = int((crawl.parent / "port").read_text())
    with serving(crawl.parent, port):
        yield chain.arguments(str(crawl), port)


@pytest.fixture(scope="session")
def expected(sample: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one machine makes of the sample."""
    output = tmp_path_factory.mktemp("expected") / "run"
    chain.on_one_machine(sample, output)
    return output
