"""The whole chain on a bucket: archives read, tables, images and manifests written."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benben.jobs import stages
from benben.pipeline import manifest, storage
from tests.cluster import chain
from tests.cluster.submit import ROOT
from tests.pipeline.storage.stores import BUCKET, Failing, s3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
RUN = f"s3://{BUCKET}/run"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Failing]:
    with s3(monkeypatch) as found:
        yield found


@pytest.fixture
def there(store: Failing, crawl: Path, sample: list[str]) -> list[str]:
    """Arguments of a run on the sample's archives in the bucket."""
    for path in storage.list_files(str(crawl)):
        name = path.removeprefix(str(crawl))
        storage.write_bytes(f"s3://{BUCKET}/{crawl.name}{name}", Path(path).read_bytes())
    return [given.replace(str(crawl), f"s3://{BUCKET}/{crawl.name}") for given in sample]


def test_a_store_that_fails_one_request_in_ten(
    store: Failing, there: list[str], expected: Path
) -> None:
    store.share = 0.1
    chain.on_one_machine(there, RUN)
    store.share = 0.0
    assert store.failed > 100
    chain.check_same(RUN, expected)


def test_a_kill_between_data_and_manifest_in_every_stage(
    store: Failing, there: list[str], expected: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.cluster.killed_commit",
        "run",
        *there,
        f"output={RUN}",
        "spark.master=local[2]",
    ]
    for stage in chain.STAGES:
        tables = stages.load(stage).writes  # the last one is committed first
        done = subprocess.run(
            [*command, f"--table={tables[-1]}"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == -9, done.stderr[-3000:]
        assert any(storage.list_files(f"{RUN}/{table}") for table in tables), f"{stage}: no data"
        whole = [table for table in tables if manifest.read(f"{RUN}/{table}")]
        assert not whole, f"{stage}: tables of a stage that was not committed"
    chain.on_one_machine(there, RUN)
    chain.check_same(RUN, expected)
