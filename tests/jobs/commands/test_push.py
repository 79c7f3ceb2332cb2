"""`benben push` against a stand-in of the Hub."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import benben
from benben.analysis.dataset_card import card
from benben.analysis.tables import RunTables
from benben.jobs.commands import cli, export
from benben.jobs.commands.takedown import find
from benben.pipeline import manifest
from benben.pipeline.takedown import takedown_log
from benben.pipeline.takedown.tombstones import Tombstone
from tests.analysis.run_folder import make

hub = pytest.importorskip("huggingface_hub", reason="needs the extra `hub`")
REPOSITORY = "somebody/documents"


class Hub:
    """The calls of HfApi that a push makes, on a folder in place of the Hub."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commits: list[list[Any]] = []
        self.sent: list[str] = []

    def create_repo(
        self, *, repo_id: str, repo_type: str, private: bool | None, exist_ok: bool
    ) -> None:
        assert (repo_id, repo_type, exist_ok) == (REPOSITORY, "dataset", True)
        self.folder.mkdir(exist_ok=True)
        (self.folder / ".gitattributes").touch()

    def list_repo_files(self, *, repo_id: str, repo_type: str, revision: str | None) -> list[str]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return [path.relative_to(self.folder).as_posix() for path in files]

    def preupload_lfs_files(self, *, additions: list[Any], **_: Any) -> None:
        self.sent += [one.path_in_repo for one in additions]

    def create_commit(self, *, operations: list[Any], **_: Any) -> None:
        self.commits.append(operations)
        for operation in operations:
            target = self.folder / operation.path_in_repo
            if isinstance(operation, hub.CommitOperationDelete):
                target.unlink()
                continue
            target.parent.mkdir(exist_ok=True)
            shutil.copy(operation.path_or_fileobj, target)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path / "hub")
    monkeypatch.setattr(hub, "HfApi", lambda: made)
    monkeypatch.setattr(hub, "get_token", lambda: "hf_token")
    return made


@pytest.fixture
def run(tmp_path: Path) -> Path:
    output = make(tmp_path / "run")
    card.write(output)
    return Path(output)


def push(path: Path) -> int:
    return cli.main(["push", str(path), REPOSITORY])


def names(folder: Path) -> set[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in files} - {".gitattributes"}


def test_the_card_and_the_files_of_the_manifest_are_sent(run: Path, api: Hub) -> None:
    (run / "dataset" / "data" / "train-00009-of-00010.parquet").write_bytes(b"of a killed writer")
    (run / "dataset" / "notes.txt").write_text("mine")
    assert push(run) == 0
    made = manifest.read(str(run / "dataset"))
    assert made is not None
    listed = {file.name for file in made.files}
    assert names(api.folder) == listed | {"README.md", "croissant.json", "manifest.json"}
    assert set(api.sent) == names(api.folder)
    assert len(api.commits) == 1
    found = [document.items for document in benben.load(str(api.folder), pictures="bytes")]
    assert found == [document.items for document in benben.load(str(run), pictures="bytes")]


def test_what_was_taken_down_is_deleted_in_the_same_commit(run: Path, api: Hub) -> None:
    assert push(run / "dataset") == 0
    (api.folder / "notes.txt").write_text("of the repository's owner")
    assert cli.main(["takedown", str(run), "--host", "site1.example", "--apply"]) == 0
    assert push(run) == 0
    assert names(api.folder) == names(run / "dataset") | {"notes.txt"}
    deleted = [one for one in api.commits[1] if isinstance(one, hub.CommitOperationDelete)]
    assert deleted
    hosts = {d.metadata["host"] for d in benben.load(str(api.folder), pictures="references")}
    assert "site1.example" not in hosts


def test_an_export_is_pushed_alike(run: Path, api: Hub, tmp_path: Path) -> None:
    export.export_self_contained(RunTables(str(run)), str(tmp_path / "exported"))
    assert push(tmp_path / "exported") == 0
    assert names(api.folder) == names(tmp_path / "exported") - {"source.json"}


def test_a_repository_with_data_of_others_is_left_alone(
    run: Path, api: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    (api.folder / "data").mkdir(parents=True)
    (api.folder / "data" / "theirs.parquet").write_bytes(b"theirs")
    assert push(run) == 2
    assert "not pushed by benben, such as data/theirs.parquet" in capsys.readouterr().err
    assert (api.commits, api.sent) == ([], [])


def test_nothing_is_published_while_a_takedown_is_not_finished(
    run: Path, api: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    takedown, _ = find(str(run), [Tombstone(kind="host", value="site1.example")], "")
    takedown_log.write_pending(str(run), takedown)
    for path in (run, run / "dataset"):
        assert push(path) == 2
        assert "a takedown is not finished" in capsys.readouterr().err
    assert api.sent == []


def test_what_is_missing_is_said(
    run: Path, api: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def said(path: Path) -> str:
        assert push(path) == 2
        return capsys.readouterr().err

    assert "no finished dataset here" in said(tmp_path)
    os.rename(run / "dataset" / "README.md", tmp_path / "README.md")
    assert "no card" in said(run)
    os.rename(tmp_path / "README.md", run / "dataset" / "README.md")
    monkeypatch.setattr(hub, "get_token", lambda: None)
    assert "no token" in said(run)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "needs huggingface_hub" in said(run)
    assert api.commits == []


def test_a_refusal_of_the_hub_is_an_error_of_the_user(
    run: Path, api: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: Any) -> None:
        raise hub.errors.HFValidationError("Repo id must be in the form 'namespace/repo_name'")

    monkeypatch.setattr(api, "create_repo", refuse)
    assert push(run) == 2
    assert "Repo id must be in the form" in capsys.readouterr().err
