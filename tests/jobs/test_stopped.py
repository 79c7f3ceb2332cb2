"""A run that is stopped or killed goes on with the same command, and leaves no process behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from benben.jobs.engine import session
from benben.sample.build import build
from tests.shared import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.spark]
MARK = "BENBEN_TEST_MARK"


def command(folder: Path, *more: str) -> list[str]:
    crawl = folder / "sample" / "crawl-data"
    settings = [f"input=[{crawl}]", f"output={folder / 'run'}", "fetch.enabled=no", *more]
    return [sys.executable, "-m", "benben.jobs.commands.cli", "run", "default", *settings]


def start(folder: Path, mark: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(folder),
        cwd=ROOT,
        env=os.environ | {MARK: mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Read stderr up to a line that holds a text."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return said
    raise AssertionError(said)


def left(mark: str) -> list[str]:
    """Command lines of the processes that a run started and that live."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return found


def ended(mark: str, seconds: float = 30) -> list[str]:
    """What is left after a while."""
    until = time.monotonic() + seconds
    while left(mark) and time.monotonic() < until:
        time.sleep(0.5)
    return left(mark)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build(tmp_path / "sample")
    return tmp_path


@pytest.mark.parametrize("stage", ["extract", "measure", "assemble"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_goes_on(folder: Path, number: signal.Signals, stage: str) -> None:
    mark = uuid.uuid4().hex
    with start(folder, mark) as process:
        wait_for(process, f"{stage}: started")
        time.sleep(1)
        process.send_signal(number)
        _, rest = process.communicate(timeout=90)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert ended(mark) == []
    if number != signal.SIGKILL:
        assert "stopped; the same command goes on" in rest
        assert not re.search("Traceback|py4j|Exception", rest), rest
    again = subprocess.run(command(folder), cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    assert (folder / "run" / "dataset" / "manifest.json").is_file()


def test_a_second_run_is_refused_and_the_first_goes_on(folder: Path) -> None:
    mark = uuid.uuid4().hex
    with start(folder, mark) as first:
        wait_for(first, "extract: started")
        second = subprocess.run(command(folder), cwd=ROOT, capture_output=True, text=True)
        assert second.returncode == 2
        assert "is writing here" in second.stderr
        _, rest = first.communicate(timeout=600)
    assert first.returncode == 0, rest
    assert ended(mark) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_standalone_cluster_ends_with_its_processes(
    tmp_path: Path, number: signal.Signals
) -> None:
    session.use_bundled_java()
    mark = uuid.uuid4().hex
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.standalone", str(tmp_path), "1"],
        cwd=ROOT,
        env=os.environ | {MARK: mark},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as cluster:
        assert cluster.stdout is not None
        assert cluster.stdout.readline().startswith("spark://")
        assert len(left(mark)) > 2
        cluster.send_signal(number)
    assert cluster.returncode == 128 + number
    assert ended(mark) == []
