"""Faults of one machine while the chain runs: a clear refusal, then the dataset of a run without.

The disk is what fails here; `tests/cluster/test_faults.py` has the workers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import chain
from tests.cluster.submit import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
LEFT = 100_000  # bytes free on a disk that is nearly full


def command(given: list[str], output: Path) -> list[str]:
    run = [sys.executable, "-m", "benben.jobs.commands.cli", "run", *given, f"output={output}"]
    return [*run, "spark.master=local[2]"]


def run(given: list[str], output: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(given, output), cwd=ROOT, env=os.environ | env, capture_output=True, text=True
    )


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
