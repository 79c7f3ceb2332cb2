"""A run whose folder is in an object store: saved, killed, resumed, exported and listed there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch

from benben.common.errors import UserError
from benben.trainer.checkpoint import archive, store
from benben.trainer.checkpoint.store import CheckpointError
from benben.trainer.commands.cli import main
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import train
from benben.trainer.object_stores import RemotePath, local_folder, names, place, register_stores
from benben.trainer.settings import Config
from tests.pipeline.storage.stores import BUCKET, s3
from tests.trainer.runs import settings


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.slow)])
def url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """An empty store; what cannot be appended to there lies under the test's folder."""
    monkeypatch.chdir(tmp_path)
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        yield "memory://bucket/run"
        return
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    register_stores()
    with s3(monkeypatch):
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # of another test's server
        yield f"s3://{BUCKET}/run"
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def run_in(made: Path, url: str, **changes: Any) -> Config:
    config = settings(made, Path("unused"), **changes)
    section = config.checkpoint.model_copy(update={"dir": url, "every": 2, "keep": 2})
    return config.model_copy(update={"checkpoint": section})


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_run_lives_in_a_store(
    made: Path, url: str, asynchronous: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_in(made, url, run={"steps": 5})
    section = config.checkpoint.model_copy(update={"asynchronous": asynchronous})
    config = config.model_copy(update={"checkpoint": section})
    train(config)
    folder = place(url)
    found = [path.name for path in store.checkpoints(folder)]
    assert found == ["step_00000004", "step_00000005"], "the last two"
    assert {n for n in names(folder) if "/" not in n} >= {"tokenizer.json", "metrics.jsonl"}
    assert not Path(url.split(":")[0] + ":").exists(), "no local folder of that name"
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 5
    session = Session(config)
    session.resume()
    assert session.step == 5
    path = store.newest(folder)
    assert path is not None
    for own, tensor in store.state_of(session.model, session.optimizer).items():
        (saved,) = archive.read_whole(path, [own], store.manifest(path)).values()
        assert torch.equal(saved, tensor), own
    assert main(["ckpt", "verify", url]) == 0
    assert main(["ckpt", "list", url]) == 0
    assert "step 5" in capsys.readouterr().out


def test_what_has_no_manifest_is_no_checkpoint(made: Path, url: str) -> None:
    """Killed before its manifest, and killed while it was deleted; then the step is saved anew."""
    config = run_in(made, url, run={"steps": 3})
    train(config)
    newest = store.newest(place(url))
    assert isinstance(newest, RemotePath)
    fs, root = newest.opened()
    fs.rm_file(f"{root}/{store.MANIFEST}")
    session = Session(config)
    session.resume()
    assert session.step == 2
    session.step = 3
    session.save({"guard": {"losses": []}, "rollbacks": 0})
    assert store.newest(place(url)) == newest


def test_a_flipped_bit_in_a_store_is_seen(made: Path, url: str) -> None:
    config = run_in(made, url, run={"steps": 1})
    train(config)
    path = store.newest(place(url))
    assert isinstance(path, RemotePath)
    name = next(name for name in names(path) if name.startswith("__0_"))
    data = bytearray((path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (path / name).write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=f"damaged or missing: {name}"):
        Session(config).resume()


def test_places_are_told_apart() -> None:
    assert place("runs/x") == Path("runs/x")
    assert place("file:///runs/x") == Path("/runs/x")
    assert place("s3://bucket/x") == RemotePath("s3://bucket/x")
    assert local_folder(RemotePath("s3://bucket/../x/")) == Path("runs/s3/bucket/x")
    with pytest.raises(UserError, match="no store with the scheme nowhere"):
        place("nowhere://x")
