"""Faults on a real standalone cluster: every one costs a retry, none a row."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from deploy.standalone import Cluster
from jobs import session
from pipeline import manifest, storage
from tests.cluster.submit import ROOT, command, environment, submit

TINY = ROOT / "tests" / "cluster" / "tiny.py"
TASKS = 8
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    session.use_bundled_java()
    found = Cluster(tmp_path / "cluster")
    try:
        yield found.start()
    finally:
        found.stop()


def arguments(folder: Path, *more: str) -> list[str]:
    memory = "spark.options={spark.executor.memory: 512m}"
    return ["default", "input=[x]", f"output={folder}/run", memory, *more]


def marks(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def wait_for(condition: Callable[[], object], seconds: float = 280) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def start(cluster: Cluster, folder: Path, *more: str, seconds: float) -> subprocess.Popen[bytes]:
    """Submit and go on; the driver has a process group of its own."""
    with open(folder / "driver.log", "ab") as log:
        return subprocess.Popen(
            command(folder, TINY, *arguments(folder, *more), master=cluster.url),
            env=environment(FAULT_FOLDER=str(folder), TASK_SECONDS=str(seconds)),
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def check(folder: Path) -> None:
    """Each row is there once."""
    found = manifest.read(f"{folder}/run/numbers")
    assert found is not None
    tables = [storage.read_parquet(path) for path in found.paths(f"{folder}/run/numbers")]
    assert pa.concat_tables(tables)["n"].to_pylist() == list(range(TASKS))
    assert found.counts["documents"].kept == TASKS


@pytest.mark.parametrize("fault", ["kill", "exit", "hang"])
def test_a_python_worker_that_dies_or_hangs(cluster: Cluster, tmp_path: Path, fault: str) -> None:
    (tmp_path / fault).touch()
    more = ("spark.task_seconds=8",) if fault == "hang" else ()
    given = arguments(tmp_path, *more)
    done = submit(tmp_path, TINY, *given, master=cluster.url, FAULT_FOLDER=str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    assert marks(tmp_path, "*-struck") == [f"{fault}-struck"]
    check(tmp_path)


def test_a_worker_killed_with_its_executor(cluster: Cluster, tmp_path: Path) -> None:
    driver = start(cluster, tmp_path, seconds=2)
    wait_for(lambda: len(marks(tmp_path, "ran-*")) >= 2)
    cluster.kill("worker-1")
    assert driver.wait(300) == 0, (tmp_path / "driver.log").read_text()[-3000:]
    check(tmp_path)


def test_a_driver_killed_and_started_again_repeats_no_finished_wave(
    cluster: Cluster, tmp_path: Path
) -> None:
    waves = "spark.wave_tasks=2"
    driver = start(cluster, tmp_path, waves, seconds=1)
    kept = tmp_path / "run" / "waves" / "tiny"
    wait_for(lambda: list(kept.glob("*/1/00001.json")))
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert manifest.read(f"{tmp_path}/run/numbers") is None
    finished = 2 * len(list(kept.glob("*/1/*.json")))
    again = start(cluster, tmp_path, waves, seconds=1)
    assert again.wait(300) == 0, (tmp_path / "driver.log").read_text()[-3000:]
    check(tmp_path)
    ran = len(marks(tmp_path, "ran-*"))
    assert ran <= 2 * TASKS - finished, "tasks of finished waves ran once"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_worker_with_a_full_disk_is_left_out(tmp_path: Path) -> None:
    session.use_bundled_java()
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], check=True)
    cluster = Cluster(tmp_path / "cluster")
    try:
        cluster.start(workers=1)
        cluster.add_worker(2, SPARK_LOCAL_DIRS=str(disk), TMPDIR=str(disk))
        (disk / "full").write_bytes(bytes(100_000))
        driver = start(cluster, tmp_path, seconds=1)
        assert driver.wait(300) == 0, (tmp_path / "driver.log").read_text()[-3000:]
        check(tmp_path)
    finally:
        cluster.stop()
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
