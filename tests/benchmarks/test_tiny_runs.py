"""Every benchmark is imported, and each command among them runs on a tiny input."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import tiny_data
from tests.shared import ROOT

pytest.importorskip("torch", reason="benchmarks of the trainer need it: make setup-trainer")
PAGES = (
    *("extract_speed", "extract_quality", "extract_images", "warc_speed"),
    *("train_content_score --check", "filter_cost", "redecide_speed", "what_if 10000"),
    *("dedup_quality 20", "dedup_speed --ours", "plan 1000", "trainer_memory", "gpu_session speed"),
    *("load_speed 20", "incremental_upload 200"),
    *("chain main", "shipped_quality --weights", "consent_cost 1"),
)
SPARK = (
    *("task_overhead 4", "dedup_labels", "dedup_scale --one 1000", "dedup_skew --one 10 1000"),
    *("dedup_incremental --one 1000 1000", "extract_stage 20", "scale 2 3"),
    *("estimate --pages 1 --seeds 1 --sample 50%", "consent_receipts", "small_run 1"),
    *("profile_chain 2 3",),
)
SHAPES = "build/benchmarks/shapes/dataset"
MIX = f"data.mix=[{{path: {SHAPES}/data, images: {SHAPES}/images}}]"
TRAINING = (
    *("trainer_positions 2", "trainer_filters 60 2"),  # which makes the dataset of the next
    f"trainer_images demo '{MIX}' run.steps=2",
)
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").rglob("*.py")
    if path.name != "__init__.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_is_imported(name: str) -> None:
    importlib.import_module(name)


def start(folder: Path, shared: Path, lines: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """Run benchmarks one after another in a process of their own; what they say goes to a file."""
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENBEN_SHARED": str(shared)}
    command = [sys.executable, "-m", "tests.benchmarks.tiny_runs", *lines]
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_benchmark_runs_on_a_tiny_input(tmp_path: Path) -> None:
    shared = tiny_data.write(tmp_path / "shared")
    folders = [tmp_path / "pages", tmp_path / "spark"]
    runs = [
        start(folder, shared, lines)
        for folder, lines in zip(folders, ((*PAGES, *TRAINING), SPARK), strict=True)
    ]
    for folder, process in zip(folders, runs, strict=True):
        assert process.wait() == 0, (folder / "log").read_text()[-8000:]
