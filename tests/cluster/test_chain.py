"""The whole chain on a real standalone cluster: the dataset that one machine makes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.standalone import Cluster
from tests.cluster import chain
from tests.cluster.submit import ROOT, start
from tests.shared import DATA, needs_shared

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
CLI = ROOT / "jobs" / "commands" / "cli.py"
SITE_PORT = 8765  # what the site's archive has in its URLs


@pytest.fixture
def site() -> Iterator[list[str]]:
    """Arguments of a run on the manuals' archive, whose site is served."""
    folder = DATA / "site"
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(SITE_PORT), "--bind", "127.0.0.1"],
        cwd=folder / "www",
        stderr=subprocess.DEVNULL,
    )
    try:
        yield chain.arguments(str(folder / f"site-127.0.0.1-{SITE_PORT}.warc.gz"), SITE_PORT)
    finally:
        server.kill()
        server.wait()


def test_the_cluster_makes_the_samples_dataset_of_one_machine(
    cluster: Cluster, tmp_path: Path, sample: list[str], expected: Path
) -> None:
    start(tmp_path, CLI, "run", *sample, f"output={tmp_path}/run", master=cluster.url).done()
    chain.check_same(tmp_path / "run", expected)


@needs_shared
def test_the_cluster_makes_the_sites_dataset_of_one_machine(
    cluster: Cluster, tmp_path: Path, site: list[str]
) -> None:
    start(tmp_path, CLI, "run", *site, f"output={tmp_path}/run", master=cluster.url).done(1500)
    chain.on_one_machine(site, tmp_path / "local-run")
    chain.check_same(tmp_path / "run", tmp_path / "local-run")
