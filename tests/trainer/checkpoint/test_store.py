"""What a kill or a flipped bit does to a checkpoint, and the formats it leaves in."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from benben.trainer.checkpoint import archive, store
from benben.trainer.checkpoint.merging import Rule, merge
from benben.trainer.checkpoint.store import CheckpointError
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import train
from benben.trainer.settings import Config
from tests.trainer.runs import settings

EXTRA = {"guard": {"losses": []}, "rollbacks": 0}


@pytest.fixture(scope="module")
def run(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A run of two steps, saved at 0 and 2."""
    config = settings(made, tmp_path_factory.mktemp("run"), run={"steps": 2})
    train(config)
    return config


def copy(config: Config, folder: Path) -> Config:
    import shutil

    shutil.copytree(config.checkpoint.dir, folder)
    section = config.checkpoint.model_copy(update={"dir": str(folder)})
    return config.model_copy(update={"checkpoint": section})


def _die_in_save(config: Config, moment: str) -> None:
    """Save and be killed: while files are written, or before the rename."""
    torch.set_num_threads(1)
    session = Session(config)
    session.resume()
    session.step = 3

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == "writing":
        store.digest.file = die
    else:
        store.os.rename = die
    session.save(EXTRA)


@pytest.mark.parametrize("moment", ["writing", "renaming"])
def test_a_kill_while_saving_leaves_the_previous_one(
    run: Config, tmp_path: Path, moment: str
) -> None:
    config = copy(run, tmp_path / "run")
    process = get_context("spawn").Process(target=_die_in_save, args=(config, moment))
    process.start()
    process.join(240)
    assert process.exitcode == -signal.SIGKILL
    folder = Path(config.checkpoint.dir)
    assert (folder / "step_00000003.tmp").is_dir()
    assert store.newest(folder) == folder / "step_00000002"
    session = Session(config)
    session.resume()
    assert session.step == 2
    session.step = 3
    session.save(EXTRA)
    assert store.newest(folder) == folder / "step_00000003"


def test_one_flipped_bit_refuses_to_load(run: Config, tmp_path: Path) -> None:
    config = copy(run, tmp_path / "run")
    path = store.newest(Path(config.checkpoint.dir))
    assert path is not None
    session = Session(config)
    session.resume()
    for file in [p for p in path.iterdir() if p.name != store.MANIFEST]:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        with pytest.raises(CheckpointError, match=f"damaged or missing: {file.name}"):
            session.resume()
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    session.resume()


def test_wrong_content_behind_right_files_is_refused(run: Config, tmp_path: Path) -> None:
    """Digests of tensors and the probe's loss catch what file digests cannot."""
    config = copy(run, tmp_path / "run")
    path = store.newest(Path(config.checkpoint.dir))
    assert path is not None
    session, text = Session(config), (path / store.MANIFEST).read_text()
    content = store.manifest(path)
    digest = content["tensors"]["exp_avg/lm.norm.weight"]
    (path / store.MANIFEST).write_text(text.replace(digest, digest[::-1]))
    with pytest.raises(CheckpointError, match=r"differs: exp_avg/lm\.norm\.weight"):
        session.resume()
    probe = str(content["meta"]["probe"])
    (path / store.MANIFEST).write_text(text.replace(probe, str(float(probe) * 1.01)))
    with pytest.raises(CheckpointError, match="probe"):
        session.resume()


def test_keeps_the_last_k(run: Config, tmp_path: Path) -> None:
    saver = store.Saver(tmp_path, keep=2)
    for step in range(4):
        saver.save(step, {"model/x": torch.ones(3)}, {})
    assert [p.name for p in store.checkpoints(tmp_path)] == ["step_00000002", "step_00000003"]


def test_asynchronous_saving_is_the_same(tmp_path: Path) -> None:
    saver = store.Saver(tmp_path, keep=2, asynchronous=True)
    state = {"model/x": torch.arange(5.0)}
    saver.save(1, state, {})
    state["model/x"] += 1  # what comes after the call is not in the checkpoint
    assert store.newest(tmp_path) is None
    saver.finish()
    path = store.newest(tmp_path)
    assert path is not None
    loaded = archive.read_whole(path, ["model/x"], store.manifest(path))
    assert torch.equal(loaded["model/x"], torch.arange(5.0))


def test_no_digest_is_computed_on_the_training_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While digests of tensors or files wait, saving returns and the run goes on."""
    threads: dict[str, set[str]] = {"sums": set(), "file": set()}
    gate = threading.Event()
    for name in threads:
        whole = getattr(store.digest, name)

        def waiting(argument: Any, name: str = name, whole: Any = whole) -> Any:
            threads[name].add(threading.current_thread().name)
            assert gate.wait(60)
            return whole(argument)

        monkeypatch.setattr(store.digest, name, waiting)
    saver = store.Saver(tmp_path, keep=2, asynchronous=True)
    state = {"model/x": torch.arange(5.0), "model/y": torch.ones(3, dtype=torch.bfloat16)}
    saver.save(1, state, {"tokens": 7})
    state["model/x"] += 1
    assert not saver.ready()
    gate.set()
    saver.finish()
    mine = threading.current_thread().name
    assert mine not in threads["sums"]
    assert threads["file"] - {mine}, "files of the rank; rank 0 adds the small .metadata itself"
    path = store.newest(tmp_path)
    assert path is not None
    content = store.manifest(path)
    monkeypatch.undo()
    assert content["tensors"] == store.digest.tensors(
        {"model/x": torch.arange(5.0), "model/y": state["model/y"]}
    )
    store.verify_files(path, content["files"])


def test_archive_and_back_is_bitwise_also_repadded(run: Config, tmp_path: Path) -> None:
    source = store.newest(Path(run.checkpoint.dir))
    assert source is not None
    archive.export(source, tmp_path / "atoms")
    for multiple in (None, 7):
        config = copy(run, tmp_path / f"run{multiple}")
        path = archive.restore(tmp_path / "atoms", tmp_path / f"again{multiple}", multiple)
        lm = config.model.lm.model_copy(update={"vocab_multiple": multiple or 128})
        config = config.model_copy(update={"model": config.model.model_copy(update={"lm": lm})})
        first, second = Session(config), Session(config)
        first.resume(source)  # saved with rows padded to 128: padded anew on load
        second.resume(path)
        for a, b in zip(states(first), states(second), strict=True):
            assert torch.equal(a, b)
        losses = []
        for session in (first, second):
            batch = session.batch(session.loader.take(4))
            loss, _ = session.model(batch)
            losses.append(float(loss.detach()))
        assert losses[0] == losses[1]
    damaged = next((tmp_path / "atoms" / "parameters").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x01\x02")
    with pytest.raises(CheckpointError, match="damaged"):
        archive.load(tmp_path / "atoms")


def states(session: Session) -> list[torch.Tensor]:
    return list(store.state_of(session.model, session.optimizer).values())


def test_hugging_face_loads_the_decoder(run: Config, tmp_path: Path) -> None:
    source = store.newest(Path(run.checkpoint.dir))
    assert source is not None
    archive.to_huggingface(source, tmp_path, "float32", decoder=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    session = Session(run)
    session.resume()
    ids = torch.arange(20)
    with torch.no_grad():
        theirs = model(ids[None]).logits[0]
    from benben.trainer.model.batch import Pack
    from tests.trainer.model.test_vlm import logits

    pack = Pack(ids.numpy(), ids.numpy(), (20,), torch.zeros(0, 3, 32, 32).numpy(), ())
    assert float((logits(session.model, pack) - theirs).abs().max()) <= 1e-5


def test_foreign_shards_merge_by_rules() -> None:
    torch.manual_seed(0)
    q, up, norm, vocab = torch.randn(8, 4), torch.randn(12, 4), torch.randn(4), torch.randn(10, 4)
    gate, real = up[:6], up[6:]
    bias = torch.randn(2, 4)
    padded = torch.cat([vocab, torch.zeros(2, 4)])
    shards = [
        {
            "0.q": q[r * 4 : r * 4 + 4],
            "0.mlp": torch.cat([gate[r * 3 : r * 3 + 3], real[r * 3 : r * 3 + 3]]),
            "norm": norm,
            "bias": bias[r],
            "vocab": padded[r * 6 : r * 6 + 6],
        }
        for r in range(2)
    ]
    rules = [
        Rule(pattern=r"(\d+)\.q", how="shard", rename=r"layers.\1.attn.q"),
        Rule(pattern=r".*\.mlp", how="parts", sizes=[6, 6]),
        Rule(pattern="norm", how="replicate"),
        Rule(pattern="bias", how="average"),
        Rule(pattern="vocab", how="shard", vocabulary=10),
    ]
    merged = merge(shards, rules)
    assert torch.equal(merged["layers.0.attn.q"], q)
    assert torch.equal(merged["0.mlp"], up)
    assert torch.equal(merged["vocab"], vocab)
    assert torch.allclose(merged["bias"], bias.mean(0))
    with pytest.raises(CheckpointError, match="exactly one rule must match, found none"):
        merge(shards, rules[:-1])
    shards[1]["norm"] = norm + 1
    with pytest.raises(CheckpointError, match="replicas differ"):
        merge(shards, rules)
