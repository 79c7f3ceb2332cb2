"""Faults on a real standalone cluster while the chain runs: each costs retries, none a row."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from benben.jobs.engine import session
from deploy.standalone import Cluster
from tests.cluster import chain, submit
from tests.cluster.submit import ROOT, Driver, start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
CLI = ROOT / "jobs" / "commands" / "cli.py"
FAULTY = ROOT / "tests" / "cluster" / "faulty.py"
WITHOUT_TASKS = {"report"}  # it reads tables in the driver
BUDGET = 4  # attempts of a task, `spark.task.maxFailures` of configs/cluster/stages.yaml


@contextmanager
def held(cluster: Cluster, driver: Driver, stage: str) -> Iterator[list[str]]:
    """Freeze the executors once one has a task of a stage; yields those, none if the job ended.

    While they are frozen no task can end, so a fault meets a running one.
    """
    started = f"{stage}: started"
    wait_for(lambda: not driver.alive or (started in driver.text and driver.busy()), 600)
    for name in cluster.workers.values():
        cluster.signal(name, signal.SIGSTOP)
    wait_for(lambda: driver.busy() or not driver.alive)
    workers = {cluster.host(number): name for number, name in cluster.workers.items()}
    yield [workers[host] for host in driver.busy()] if driver.alive else []
    for name in cluster.workers.values():
        cluster.signal(name, signal.SIGCONT)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_ended_in_every_stage(
    cluster: Cluster, tmp_path: Path, sample: list[str], expected: Path, number: signal.Signals
) -> None:
    untouched = set()
    for stage in chain.STAGES:
        script = ROOT / "jobs" / f"{stage}.py"
        driver = start(tmp_path, script, *sample, f"output={tmp_path}/run", master=cluster.url)
        with held(cluster, driver, stage) as busy:
            if busy:
                cluster.signal(busy[0], number)
        if busy:  # what was frozen ends once it goes on
            cluster.processes.pop(busy[0]).wait(120)
        cluster.add_worker(max(cluster.workers) + 1) if busy else untouched.add(stage)
        driver.done()
        assert not busy or 1 < driver.attempts() <= BUDGET
    assert untouched == WITHOUT_TASKS
    chain.check_same(tmp_path / "run", expected)


@pytest.mark.parametrize("fault", ["kill", "hang", "memory"])
def test_a_python_worker_dies_hangs_or_fills_in_every_stage(
    cluster: Cluster, tmp_path: Path, sample: list[str], expected: Path, fault: str
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    given = ["run", *sample, f"output={tmp_path}/run", "spark.task_seconds=30"]
    driver = start(
        tmp_path, FAULTY, *given, master=cluster.url, FAULT=fault, FAULT_FOLDER=str(marks)
    )
    driver.done(2000)
    assert {path.name for path in marks.iterdir()} == set(chain.STAGES) - WITHOUT_TASKS
    assert driver.attempts() <= BUDGET
    chain.check_same(tmp_path / "run", expected)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_driver_ended_in_every_stage(
    cluster: Cluster, tmp_path: Path, sample: list[str], expected: Path, number: signal.Signals
) -> None:
    given = ["run", *sample, f"output={tmp_path}/run"]
    for stage in [stage for stage in chain.STAGES if stage not in WITHOUT_TASKS]:
        driver = start(tmp_path, CLI, *given, master=cluster.url)
        with held(cluster, driver, stage) as busy:
            assert busy
            end(driver, number)
        assert f"{stage}: started" in driver.text
        assert f"{stage}: up to date" not in driver.text
    start(tmp_path, CLI, *given, master=cluster.url).done()
    chain.check_same(tmp_path / "run", expected)


def test_a_driver_started_again_repeats_no_finished_wave(
    cluster: Cluster, tmp_path: Path, sample: list[str]
) -> None:
    given = [*sample, f"output={tmp_path}/run", "spark.wave_tasks=1"]
    script, kept = ROOT / "jobs" / "extract.py", tmp_path / "run" / "waves" / "extract"
    first = start(tmp_path, script, *given, master=cluster.url)
    wait_for(lambda: list(kept.glob("*/1/*.json")))
    end(first)
    there = len(list(kept.glob("*/1/*.json")))
    again = start(tmp_path, script, *given, master=cluster.url)
    again.done()
    assert f"{there} of 4 waves are done already" in again.text
    assert again.text.count("Starting task") == 4 - there


def end(driver: Driver, number: signal.Signals = signal.SIGKILL) -> None:
    os.killpg(driver.process.pid, number)
    driver.process.wait(120)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_worker_with_a_full_disk_is_left_out(
    tmp_path: Path, sample: list[str], expected: Path
) -> None:
    session.use_bundled_java()
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    cluster = Cluster(tmp_path / "cluster")
    try:
        cluster.start(workers=1)
        cluster.add_worker(2, SPARK_LOCAL_DIRS=str(disk), TMPDIR=str(disk))
        driver = start(tmp_path, CLI, "run", *sample, f"output={tmp_path}/run", master=cluster.url)
        wait_for(lambda: cluster.host(2) in driver.busy())
        with suppress(OSError), open(disk / "full", "wb") as file:
            while True:
                file.write(bytes(1 << 16))
        driver.done()
        assert "No space left on device" in driver.text
        assert 1 < driver.attempts() <= BUDGET
        chain.check_same(tmp_path / "run", expected)
    finally:
        submit.stop()
        cluster.stop()
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
