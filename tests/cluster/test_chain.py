"""The whole chain on a real standalone cluster: the dataset that one machine makes."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from deploy.standalone import Cluster
from jobs import cli, session
from pipeline import manifest, storage
from sample.build import build
from sample.demo import free_port
from sample.serve import serving
from tests.cluster.submit import ROOT, command, environment
from tests.pipeline.stores import BUCKET, s3
from tests.shared import DATA, needs_shared

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
SITE_PORT = 8765  # what the site's archive has in its URLs


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    session.use_bundled_java()
    found = Cluster(tmp_path / "cluster")
    try:
        yield found.start()
    finally:
        found.stop()


@pytest.fixture
def sample(tmp_path: Path) -> Iterator[list[str]]:
    """Arguments of a run on the sample, whose site is served."""
    site, port = tmp_path / "sample", free_port(8899)
    build(site, port=port)
    with serving(site, port):
        yield arguments(str(site / "crawl-data"), port)


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
        yield arguments(str(folder / f"site-127.0.0.1-{SITE_PORT}.warc.gz"), SITE_PORT)
    finally:
        server.kill()
        server.wait()


def arguments(crawl: str, port: int) -> list[str]:
    host = f"['127.0.0.1:{port}']"
    return [
        "default",
        f"input=[{crawl}]",
        f"fetch.allow_hosts={host}",
        f"fetch.politeness.unlimited_hosts={host}",
        "spark.options={spark.executor.memory: 768m}",
        "spark.partitions=4",
    ]


def submit(
    cluster: Cluster, folder: Path, script: str, *given: str
) -> tuple[subprocess.Popen[bytes], Path]:
    log = folder / "driver.log"
    with open(log, "wb") as stream:
        driver = subprocess.Popen(
            command(folder, ROOT / "jobs" / f"{script}.py", *given, master=cluster.url),
            env=environment(),
            cwd=folder,
            stdout=stream,
            stderr=stream,
        )
    return driver, log


def on_one_machine(given: list[str], output: Path | str) -> None:
    command = [sys.executable, "-m", "jobs.cli", "run", *given, f"output={output}"]
    done = subprocess.run(
        [*command, "spark.master=local[2]"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


def dataset(output: Path | str) -> dict[str, pa.Table]:
    """The files of a dataset by name, with sorted rows."""
    found = manifest.read(f"{output}/dataset")
    assert found is not None
    tables: dict[str, list[pa.Table]] = {}
    for file in found.files:
        if file.name.endswith(".parquet"):
            rows = storage.read_parquet(f"{output}/dataset/{file.name}")
            tables.setdefault(file.name.split("/")[0], []).append(rows)
    keys = {"data": "doc_id", "images": "sha256"}
    return {name: pa.concat_tables(t).sort_by(keys[name]) for name, t in tables.items()}


def check_same(one: Path | str, other: Path | str) -> None:
    first, second = dataset(one), dataset(other)
    assert first["data"].num_rows > 0
    assert {name: table.num_rows for name, table in first.items()} == {
        name: table.num_rows for name, table in second.items()
    }
    assert first["data"].equals(second["data"])
    assert first["images"]["sha256"].equals(second["images"]["sha256"])
    funnels = [json.loads(storage.read_bytes(f"{output}/funnel.json")) for output in (one, other)]
    assert funnels[0] == funnels[1]


@pytest.mark.parametrize("source", ["sample", pytest.param("site", marks=needs_shared)])
def test_the_cluster_makes_the_dataset_of_one_machine(
    cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest, source: str
) -> None:
    given = request.getfixturevalue(source)
    driver, log = submit(cluster, tmp_path, "cli", "run", *given, f"output={tmp_path}/cluster-run")
    assert driver.wait(1500) == 0, log.read_text()[-5000:]
    on_one_machine(given, tmp_path / "local-run")
    check_same(tmp_path / "cluster-run", tmp_path / "local-run")


def test_a_worker_killed_in_every_stage(
    cluster: Cluster, tmp_path: Path, sample: list[str]
) -> None:
    for number, stage in enumerate(cli.STAGES, 1):
        given = [*sample, f"output={tmp_path}/cluster-run"]
        driver, log = submit(cluster, tmp_path, stage, *given)
        while driver.poll() is None and b"Starting task" not in log.read_bytes():
            time.sleep(0.2)
        cluster.kill(f"worker-{number}")
        cluster.add_worker(number + 2)
        assert driver.wait(600) == 0, f"{stage}: {log.read_text()[-5000:]}"
    on_one_machine(sample, tmp_path / "local-run")
    check_same(tmp_path / "cluster-run", tmp_path / "local-run")


def test_the_chain_reads_and_writes_buckets_of_a_failing_store(
    tmp_path: Path, sample: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    crawl = tmp_path / "sample" / "crawl-data"
    with s3(monkeypatch) as store:
        for path in storage.list_files(str(crawl)):
            name = path.removeprefix(str(crawl))
            storage.write_bytes(f"s3://{BUCKET}/crawl{name}", Path(path).read_bytes())
        there = [given.replace(str(crawl), f"s3://{BUCKET}/crawl") for given in sample]
        store.share = 0.1
        on_one_machine(there, f"s3://{BUCKET}/run")
        store.share = 0.0
        assert store.failed > 10
        on_one_machine(sample, tmp_path / "run")
        check_same(f"s3://{BUCKET}/run", tmp_path / "run")
