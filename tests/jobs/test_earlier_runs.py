"""Indexes of earlier runs that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from benben.jobs.deduplication import earlier_runs
from benben.pipeline import config, manifest
from benben.pipeline.errors import UserError
from benben.pipeline.manifest import Manifest, PartFile
from benben.pipeline.settings import Config


def settings(folder: Path, *overrides: str) -> Config:
    chosen = [f"deduplicate.against=['{folder}']", "deduplicate.index=true", *overrides]
    return config.load("default", ["input=[x]", "output=y", *chosen])


def leave_index(folder: Path, made_with: Config) -> None:
    record = made_with.model_dump(mode="json")
    files = [PartFile(part=3, name="part-00003.parquet", rows=1, bytes=1)]
    for table in earlier_runs.TABLES:
        found = Manifest(
            table=table, id="x", stage="cluster", version="", config=record, inputs={}, files=files
        )
        manifest.write(str(folder / table), found)


def test_a_run_without_an_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no index.*deduplicate.index=true"):
        earlier_runs.sources(settings(tmp_path))
    leave_index(tmp_path, settings(tmp_path, "deduplicate.index=false"))
    with pytest.raises(UserError, match="has no index"):
        earlier_runs.EarlierRuns(settings(tmp_path))


def test_an_index_made_with_other_settings_is_refused(tmp_path: Path) -> None:
    leave_index(tmp_path, settings(tmp_path, "fingerprint.bands=20"))
    with pytest.raises(UserError, match=r"fingerprint.bands=20, this run has 14"):
        earlier_runs.EarlierRuns(settings(tmp_path))
    with pytest.raises(UserError, match=r"deduplicate.keep"):
        earlier_runs.EarlierRuns(
            settings(tmp_path, "fingerprint.bands=20", "deduplicate.keep.order=[oldest]")
        )


def test_an_equal_index_is_part_of_the_work_s_identity(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    leave_index(tmp_path, chosen)
    assert earlier_runs.EarlierRuns(chosen).folders == [str(tmp_path)]
    assert set(earlier_runs.sources(chosen).values()) == {"x"}
