"""bfloat16 computation on float32 parameters, on one process and on more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benben.trainer.checkpoint import store
from benben.trainer.distributed import parallel
from benben.trainer.distributed.shards import parameters
from benben.trainer.loop.train import Training
from tests.trainer.ranks import Ranks
from tests.trainer.runs import settings

MIXED = {"dtype": "bfloat16", "batch_packs": 4, "lr": 1e-3}


def curve(made: str, folder: str, micro: int, optim: dict[str, object]) -> list[float]:
    config = settings(Path(made), Path(folder), optim=optim, run={"steps": 8, "micro_packs": micro})
    training = Training(config)
    training.run()
    training.session.probe()  # a forward pass alone, after which FSDP keeps what it gathered
    types = {p.dtype for _, p in parameters(training.session.model)}
    assert types == {torch.float32}, types
    if training.session.mesh.rank:
        return []
    lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_one_process_is_two(ranks: Ranks, made: Path, tmp_path: Path) -> None:
    """The same losses, close to float32's; what one saves the other loads."""
    one = ranks.run(curve, 1, str(made), str(tmp_path / "1"), 1, MIXED)[0]
    two = ranks.run(curve, 2, str(made), str(tmp_path / "2"), 1, MIXED)[0]
    assert one == pytest.approx(two, rel=1e-4)
    wide = ranks.run(curve, 1, str(made), str(tmp_path / "w"), 1, {**MIXED, "dtype": "float32"})[0]
    assert one != wide
    assert one == pytest.approx(wide, rel=0.01)
    path = store.newest(tmp_path / "1")
    assert path is not None
    assert set(store.manifest(path)["dtypes"].values()) == {"float32"}


def test_small_updates_are_kept(made: Path, tmp_path: Path) -> None:
    """A rate that rounding to bfloat16 would swallow changes the float32 parameters."""
    optim = {**MIXED, "lr": 1e-6, "weight_decay": 0.0}
    training = Training(settings(made, tmp_path, optim=optim))
    try:
        embed = training.session.model.lm.embed.weight.to_local().detach()
        before = embed.clone()
        training.one_step()
        swallowed = (before != embed) & (before.bfloat16() == embed.bfloat16())
        assert swallowed.any()
    finally:
        parallel.close()
