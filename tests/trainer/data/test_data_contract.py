"""Which documents a run trains on: its split, its pictures, and the same ones after a resume."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benben.common.config_files import ConfigError
from benben.trainer.checkpoint.store import CheckpointError
from benben.trainer.data.corpus import Corpus, CorpusError
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import Training
from tests.trainer.dataset import write_dataset
from tests.trainer.runs import settings


def with_splits(folder: Path) -> Path:
    """A dataset of 60 documents for training, 20 for validation, 20 for test."""
    for seed, (split, documents) in enumerate({"train": 60, "validation": 20, "test": 20}.items()):
        part = write_dataset(folder / split, documents, seed)
        for kind in ("data", "images"):
            (folder / kind).mkdir(exist_ok=True)
            shutil.copy(part / kind / "part-0.parquet", folder / kind / f"{split}-00000.parquet")
    return folder


def test_a_corpus_is_one_split(tmp_path: Path) -> None:
    folder = with_splits(tmp_path)
    data = str(folder / "data")
    assert (len(Corpus(data)), len(Corpus(data, split="validation"))) == (60, 20)
    assert {Corpus(data).read(i).name.split("-")[1] for i in range(60)} == {"0"}
    with pytest.raises(CorpusError, match="no files of split 'dev'; it has test, train"):
        Corpus(data, split="dev")
    with pytest.raises(CorpusError, match="no files of split 'train'; it has test"):
        Corpus(f"{data}/test-*.parquet")


def test_training_and_evaluation_read_different_splits(tmp_path: Path) -> None:
    session = Session(settings(with_splits(tmp_path), tmp_path, data={"eval_split": "validation"}))
    seen = [name for pack in session.loader.take(8) for name in pack.names]
    held_out = session.held_out_source()
    assert {name.split("-")[1] for name in seen} == {"0"}
    assert {sample.name.split("-")[1] for sample in held_out.samples(0)} == {"1"}


def test_a_tower_without_pictures_is_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "made", 20)
    mix = [{"path": str(folder / "data")}]
    with pytest.raises(ConfigError, match=r"model\.vision reads images, but no corpus"):
        Session(settings(folder, tmp_path, data={"mix": mix}))


def test_a_run_resumes_on_its_own_data_alone(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "made", 80)
    trained = settings(folder, tmp_path, run={"steps": 2})
    Training(trained).run()
    changed = settings(folder, tmp_path, data={"window": 32, "seed": 3})
    with pytest.raises(CheckpointError, match=r"other data: .*window was 16, is 32; .*seed was 0"):
        Session(changed).resume()
    shutil.rmtree(folder)
    write_dataset(folder, 79)  # as after a takedown of one document
    with pytest.raises(CheckpointError, match=r"other data: corpora was .*files"):
        Session(trained).resume()
    assert Session(trained).resume(training=False) is not None
    restarted = Session(settings(folder, tmp_path, checkpoint={"new_data": "restart"}))
    restarted.resume()
    assert (restarted.step, restarted.loader.state.next) == (2, 0)
