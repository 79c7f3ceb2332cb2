"""`import benben`: what other programs call, and a user's own files beside it."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import benben
from benben.jobs import stages
from benben.pipeline import config, manifest
from tests.pipeline.archive.archive_makers import members, pages

ROOT = Path(__file__).parent.parent
NAMES = ("analysis", "configs", "filters", "jobs", "pipeline", "sample", "stages", "trainer")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of three pages."""
    path = tmp_path / "three.warc.gz"
    path.write_bytes(b"".join(members(pages(3))))
    return path


def python(folder: Path, *arguments: str) -> str:
    """Run Python in a folder and return what it printed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_example_in_the_docstring_works() -> None:
    found = doctest.testmod(benben)
    assert found.attempted >= 4
    assert found.failed == 0


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(getattr(benben, name) is not None for name in benben.__all__)
    assert dir(benben) == sorted(benben.__all__)
    with pytest.raises(AttributeError, match="module 'benben' has no attribute 'nothing'"):
        _ = benben.nothing


def test_importing_benben_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import benben, sys; print(sorted({'numba', 'pyarrow', 'pyspark'} & set(sys.modules)))"
    assert python(tmp_path, "-c", code) == "[]\n"


@pytest.mark.spark
def test_run_makes_the_tables_and_takes_a_loaded_config(
    spark: SparkSession, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "STAGES", {"captures": "", "extract": "read the archives"})
    given = [f"input=[{archive}]", f"output={tmp_path}/run"]
    made = benben.run("default", given)
    assert list(made) == ["extract"]  # without an index no captures are chosen
    assert made["extract"].counts["documents"].entered == 3
    assert benben.run(config.load("default", given)) == made


@pytest.mark.spark
def test_a_users_own_files_do_not_shadow_ours(tmp_path: Path, archive: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("raise ImportError('a file of the user')")
    cli = ("-m", "benben.jobs.commands.cli")
    assert "extract" in python(tmp_path, *cli, "--help")
    python(tmp_path, *cli, "extract", "default", f"input=[{archive.name}]", "output=run")
    found = manifest.read(f"{tmp_path}/run/documents")
    assert found is not None
    assert found.counts["documents"].entered == 3
