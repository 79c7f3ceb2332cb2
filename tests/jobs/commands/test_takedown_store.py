"""Takedown from a run on an object store, where files cannot be replaced together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs as fs
import pyarrow.parquet as pq
import pytest
import yaml

from benben.jobs.commands import cli
from benben.jobs.engine import lock
from benben.pipeline import manifest, storage
from benben.pipeline.takedown import rewrite_dataset, takedown_log
from tests.analysis.run_folder import HELD_OUT
from tests.pipeline.storage.stores import BUCKET, s3

RUN = f"s3://{BUCKET}/run"
REQUESTED = ("--host", HELD_OUT, "--text", "this is page 3.")
POINTS = 10  # the least number of points at which a takedown is stopped
STRIDE = 5  # changes between two points

Rows = list[dict[str, Any]]


class Stopped(BaseException):
    """Stops a takedown: no code catches it."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lock, "STALE_SECONDS", 0.1)
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.1)
    with s3(monkeypatch):
        yield


def upload(run: Path) -> None:
    if storage.is_folder(RUN):
        storage.delete_folder(RUN)
    filesystem, path = storage.arrow_filesystem(RUN)
    fs.copy_files(str(run), path, destination_filesystem=filesystem)


def read(names: list[str]) -> Rows:
    filesystem, path = storage.arrow_filesystem(f"{RUN}/dataset")
    return [
        row
        for name in sorted(names)
        for row in pq.read_table(f"{path}/{name}", filesystem=filesystem).to_pylist()
    ]


def by_manifest() -> Rows:
    found = manifest.read(f"{RUN}/dataset")
    assert found is not None
    return read([file.name for file in found.files if file.name.startswith("data/")])


def by_card() -> Rows:
    text = storage.read_bytes(f"{RUN}/dataset/README.md").decode()
    configs = yaml.safe_load(text.split("---\n")[1])["configs"]
    (files,) = (one["data_files"] for one in configs if one["config_name"] == "data")
    there = [Path(path) for path in storage.list_files(f"{RUN}/dataset/data")]
    names: list[str] = []
    for entry in files:
        path = entry["path"]
        if isinstance(path, str):
            names += [f"data/{one.name}" for one in there if one.match(path)]
        else:
            names += path
    return read(names)


def take_down() -> None:
    assert cli.main(["takedown", RUN, *REQUESTED, "--apply"]) == 0


def stop_at(point: int, patch: pytest.MonkeyPatch) -> None:
    """Make a takedown stop just before change number `point` of the store."""
    left = [point]

    def stopping(change: Callable[..., Any]) -> Callable[..., Any]:
        def work(*values: Any, **names: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Stopped
            return change(*values, **names)

        return work

    for owner, name in (
        (storage, "write_bytes"),
        (storage, "delete_file"),
        (storage, "delete_folder"),
        (storage.ParquetWriter, "__enter__"),
        (manifest, "write"),
        (rewrite_dataset, "delete_leftovers"),
    ):
        patch.setattr(owner, name, stopping(getattr(owner, name)))


def test_a_takedown_from_an_object_store(made: Path, bucket: None) -> None:
    upload(made)
    before = by_manifest()
    take_down()
    gone = [row["doc_id"] for row in before if row["host"] == HELD_OUT or "page 3." in str(row)]
    assert gone
    after = by_manifest()
    assert [row["doc_id"] for row in after] == [
        row["doc_id"] for row in before if row["doc_id"] not in gone
    ]
    assert by_card() == after
    for path in storage.list_files(RUN):
        if "/takedown/" not in path and not path.endswith(".parquet"):
            assert HELD_OUT.encode() not in storage.read_bytes(path), path
    assert len(takedown_log.read_log(f"{RUN}/takedown/log.jsonl")) == 1


def test_a_takedown_stopped_anywhere_leaves_a_consistent_dataset(made: Path, bucket: None) -> None:
    upload(made)
    before = by_manifest()
    take_down()
    after = by_manifest()
    for point in itertools.count():
        upload(made)
        with pytest.MonkeyPatch.context() as patch:
            stop_at(STRIDE * point, patch)
            try:
                take_down()
                break
            except Stopped:
                pass
        assert by_manifest() in (before, after)
        assert by_card() in (before, after)
        take_down()
        assert by_manifest() == by_card() == after
        left = {path.rpartition("/")[2] for path in storage.list_files(f"{RUN}/dataset/data")}
        found = manifest.read(f"{RUN}/dataset")
        assert found is not None
        assert left == {Path(one.name).name for one in found.files if one.name[:5] == "data/"}
    assert point >= POINTS
