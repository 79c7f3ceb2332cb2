"""A dataset in a store is read as one on a disk is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from huggingface_hub import HfFileSystem

import benben
from benben.loading import files
from benben.pipeline import storage
from tests.loading import made
from tests.pipeline.storage.stores import BUCKET, s3


class Hub(MemoryFileSystem):  # type: ignore[misc, unused-ignore]
    """Stands for the Hub: the same interface, without a network."""

    protocol = "hf"


@pytest.fixture(params=["s3", "hf"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What a user gives to `load`."""
    if request.param == "s3":
        with s3(monkeypatch):
            yield f"s3://{BUCKET}/dataset"
        return
    fsspec.register_implementation("hf", Hub, clobber=True)
    Hub.clear_instance_cache()
    yield "somebody/documents"
    Hub().rm("/", recursive=True)
    # The class itself: fsspec keeps the one it has loaded, whatever name is registered later.
    fsspec.register_implementation("hf", HfFileSystem, clobber=True)


def test_a_store_gives_what_a_disk_gives(path: str, tmp_path: Path) -> None:
    made.write_dataset(tmp_path / "dataset", 12)
    root = path if "://" in path else f"hf://datasets/{path}"
    for file in storage.list_files(str(tmp_path / "dataset")):
        name = file.removeprefix(str(tmp_path / "dataset"))
        storage.write_bytes(root + name, Path(file).read_bytes())
    expected = list(benben.load(str(tmp_path / "dataset"), pictures="bytes"))
    found = list(benben.load(path, pictures="bytes"))
    assert [document.items for document in found] == [document.items for document in expected]
    assert [document.doc_id for document in found] == [document.doc_id for document in expected]


def test_a_folder_that_exists_is_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made.write_dataset(tmp_path / "runs" / "first", 3)
    assert files.find("runs/first", "train").root == "runs/first"
    assert len(list(benben.load("runs/first"))) == 3
