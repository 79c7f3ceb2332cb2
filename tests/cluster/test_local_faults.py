"""Faults of one machine while the chain runs: a clear refusal, then the dataset of a run without.

The disk, the clock and the input are what may fail; `tests/cluster/test_faults.py` has the workers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benben.pipeline.archive.records import GZIP_START
from tests.cluster import chain
from tests.cluster.submit import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
LEFT = 100_000  # bytes free on a disk that is nearly full
EARLIER = """
import time
now = time.time
time.time = lambda: now() - 30 * 86_400
"""


def command(given: list[str], output: Path) -> list[str]:
    run = [sys.executable, "-m", "benben.jobs.commands.cli", "run", *given, f"output={output}"]
    return [*run, "spark.master=local[2]"]


def run(given: list[str], output: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(given, output), cwd=ROOT, env=os.environ | env, capture_output=True, text=True
    )


def start(given: list[str], output: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(given, output),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    assert any(text in line for line in process.stderr), f"the run ended before: {text}"


def refused(done: subprocess.CompletedProcess[str], text: str, path: Path) -> None:
    """The run ended with a message that names the path, and no stack trace."""
    assert done.returncode in (1, 2), done.stderr
    assert text in done.stderr
    assert str(path) in done.stderr
    assert not re.search("^Traceback", done.stderr, re.M)  # Spark's log has lines about it


def goes_on(given: list[str], output: Path, expected: Path) -> None:
    """The same command makes the dataset of a run without faults."""
    done = run(given, output)
    assert done.returncode == 0, done.stderr
    chain.check_same(output, expected)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(disk: Path, sample: list[str], expected: Path) -> None:
    filler = disk / "filler"
    free = shutil.disk_usage(disk).free
    filler.write_bytes(bytes(free - LEFT))
    refused(run(sample, disk / "run"), "No space left on device", disk)
    filler.unlink()
    goes_on(sample, disk / "run", expected)


def test_a_read_only_disk(disk: Path, sample: list[str], expected: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    refused(run(sample, disk / "run"), "Read-only file system", disk)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    goes_on(sample, disk / "run", expected)


def test_a_clock_that_is_set_back(tmp_path: Path, sample: list[str], expected: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(EARLIER)
    output = tmp_path / "run"
    with start(sample, output) as first:
        wait_for(first, "measure: started")
        first.kill()
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    done = run(sample, output, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    chain.check_same(output, expected)
    goes_on(sample, output, expected)


@pytest.mark.parametrize("stage", ["extract", "measure"])
def test_an_input_that_changes_during_a_run(
    tmp_path: Path, sample: list[str], expected: Path, stage: str
) -> None:
    crawl = Path(next(one for one in sample if one.startswith("input="))[len("input=[") : -1])
    mine, output = tmp_path / "crawl", tmp_path / "run"
    shutil.copytree(crawl, mine)
    given = [f"input=[{mine}]" if one.startswith("input=") else one for one in sample]
    largest = max(mine.rglob("*.warc.gz"), key=lambda path: path.stat().st_size)
    with start(given, output) as first:
        wait_for(first, f"{stage}: started")
        time.sleep(1)
        data = largest.read_bytes()
        starts = [one.start() for one in GZIP_START.finditer(data)]
        largest.write_bytes(data[: starts[len(starts) // 2]])
        said = first.communicate(timeout=1000)[1]
    assert first.returncode == (2 if stage == "extract" else 0), said
    assert ("extract: what it reads changed meanwhile" in said) == (stage == "extract")
    assert "Traceback" not in said
    fresh = tmp_path / "fresh"
    chain.on_one_machine(given, fresh)
    goes_on(given, output, fresh)
    assert chain.dataset(output)["data"].num_rows < chain.dataset(expected)["data"].num_rows
