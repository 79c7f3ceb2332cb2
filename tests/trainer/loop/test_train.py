"""The loop: schedules, spikes, stopping, accumulation, meshes."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from benben.trainer.checkpoint import store
from benben.trainer.loop.loss_spikes import SpikeGuard
from benben.trainer.loop.optimizer import batch_packs, learning_rate
from benben.trainer.loop.train import Training, TrainingError, train
from benben.trainer.settings import Config, GuardConfig, OptimConfig
from tests.trainer.ranks import Ranks
from tests.trainer.runs import settings


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_schedule_is_blooms() -> None:
    """176B: 6e-5, 375M tokens of warm-up, cosine over 410B tokens, then a tenth."""
    config = OptimConfig(lr=6e-5, warmup_tokens=375e6, decay_tokens=410e9, floor=0.1)
    middle = (375e6 + 410e9) / 2
    expected = {0: 0.0, 187.5e6: 3e-5, 375e6: 6e-5, middle: 3.3e-5, 410e9: 6e-6, 450e9: 6e-6}
    for tokens, rate in expected.items():
        assert learning_rate(config, tokens, 0) == pytest.approx(rate, rel=1e-12), tokens


def test_schedule_is_idefics() -> None:
    """80B: linear from 5e-5 to 3e-5."""
    config = OptimConfig(lr=5e-5, schedule="linear", floor=0.6, warmup_tokens=10, decay_tokens=110)
    rates = [learning_rate(config, tokens, 0) for tokens in (5, 10, 60, 110)]
    assert rates == pytest.approx([2.5e-5, 5e-5, 4e-5, 3e-5])


def test_batch_ramp_is_blooms() -> None:
    """From 192 in steps of 16 to 2,048."""
    config = OptimConfig(batch_packs=2048, ramp_from=192, ramp_step=16, ramp_tokens=1e9)
    assert [batch_packs(config, t) for t in (0, 1e9 / 116, 5e8, 1e9)] == [192, 208, 1120, 2048]
    assert batch_packs(OptimConfig(batch_packs=8), 0) == 8


def test_guard_knows_a_spike_from_noise() -> None:
    guard = SpikeGuard(GuardConfig(minimum=5, window=10))
    losses = [2.0, 2.1, 1.9, 2.05, 1.95, 2.0, 2.1]
    assert not any(guard.spikes(loss) for loss in losses)
    assert guard.spikes(5.0)
    assert guard.spikes(math.nan)
    assert list(guard.losses) == losses
    assert not SpikeGuard(GuardConfig(enabled=False)).spikes(math.inf)


def test_resumed_run_is_the_uninterrupted_one(made: Path, tmp_path: Path) -> None:
    straight = train(settings(made, tmp_path / "a", run={"steps": 5}))
    train(
        settings(
            made,
            tmp_path / "b",
            run={"steps": 5},
            checkpoint={"every": 2, "dir": str(tmp_path / "b")},
        )
    )
    halves = settings(made, tmp_path / "c", run={"steps": 5})
    stopped = Training(halves)
    stopped.one_step()
    stopped.one_step()
    stopped.save()
    stopped.metrics.close()
    resumed = train(halves)
    assert resumed["loss"] == straight["loss"]
    states = []
    for name in "ac":
        path = store.newest(tmp_path / name)
        assert path is not None
        states.append(store.manifest(path)["tensors"])
    assert states[0] == states[1]


def test_accumulation_changes_nothing(made: Path, tmp_path: Path) -> None:
    losses = []
    for micro in (1, 4):
        run = {
            "steps": 3,
            "micro_packs": micro,
            "device": "cpu",
            "tensorboard": False,
            "eval_packs": 0,
        }
        losses.append(train(settings(made, tmp_path / str(micro), run=run))["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


class Poisoned(Training):
    """Packs with number 24..27 (the seventh step's) have a loss out of all bounds."""

    def forward_backward(self, packs: list[Any]) -> dict[str, Any]:
        values = super().forward_backward(packs)
        if any(24 <= pack.number < 28 for pack in packs):
            values["loss"] *= 50
        return values


def test_a_spike_rolls_back_and_skips_its_packs(made: Path, tmp_path: Path) -> None:
    config = settings(
        made,
        tmp_path,
        run={"steps": 9},
        guard={"minimum": 3, "factor": 20.0},
        checkpoint={"every": 4, "dir": str(tmp_path)},
    )
    training = Poisoned(config)
    training.run()
    found = lines(tmp_path)
    (spike,) = [line for line in found if "spike" in line]
    assert spike["skip"] == [24, 28]
    assert len(spike["documents"]) > 0
    assert [line["step"] for line in found] == [1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8, 9]
    assert found[4]["loss"] == found[7]["loss"], "the replay is not exact"
    path = store.newest(tmp_path)
    assert path is not None
    meta = store.manifest(path)["meta"]
    assert meta["data"]["skip"] == [[24, 28]]
    assert meta["data"]["next"] == 4 * 9 + 4
    assert meta["rollbacks"] == 1


def test_endless_spikes_end_the_run(made: Path, tmp_path: Path) -> None:
    config = settings(made, tmp_path, run={"steps": 9}, guard={"rollbacks": 1})
    training = Training(config)
    training.guard.limit = lambda: -1.0  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="1 rollbacks were not enough"):
        training.run()


class Terminated(Training):
    """Gets SIGTERM in the midst of its third step."""

    def forward_backward(self, packs: list[Any]) -> dict[str, Any]:
        if self.session.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().forward_backward(packs)


def test_sigterm_saves_and_ends(made: Path, tmp_path: Path) -> None:
    config = settings(made, tmp_path, run={"steps": 10})
    Terminated(config).run()
    assert store.newest(tmp_path) == tmp_path / "step_00000003"
    assert train(config)["loss"] == train(settings(made, tmp_path / "b", run={"steps": 10}))["loss"]


def curve(made: str, folder: str, sp: int, dp: int) -> list[float]:
    config = settings(
        Path(made),
        Path(folder),
        parallel={"sp": sp, "dp": dp},
        memory={"recompute": "layer", "group": 2, "offload": True, "tile_loss": 48, "tile_mlp": 40},
        run={"steps": 20},
    )
    training = Training(config)
    training.run()
    if training.session.mesh.rank:
        return []
    return [line["loss"] for line in lines(Path(folder))]


@pytest.mark.timeout(1200)
def test_curves_of_20_steps_are_equal_on_any_mesh(ranks: Ranks, made: Path, tmp_path: Path) -> None:
    """Sequence ranks 1, 2, 4 and data ranks 4; FSDP with two-level recomputation and tiles."""
    curves = [
        ranks.run(curve, sp * dp, str(made), str(tmp_path / f"{sp}-{dp}"), sp, dp)[0]
        for sp, dp in ((1, 1), (2, 1), (4, 1), (1, 4))
    ]
    assert len(curves[0]) == 20
    for other in curves[1:]:
        assert other == pytest.approx(curves[0], rel=1e-4)


def test_low_precision_states_learn(made: Path, tmp_path: Path) -> None:
    """bfloat16 parameters and moments with stochastic rounding."""
    optim = {
        "params": "bfloat16",
        "state": "bfloat16",
        "dtype": "bfloat16",
        "lr": 3e-3,
        "batch_packs": 4,
    }
    config: Config = settings(made, tmp_path, run={"steps": 12}, optim=optim)
    train(config)
    losses = [line["loss"] for line in lines(tmp_path)]
    assert losses[-1] < 0.8 * losses[0]
    assert all(torch.isfinite(torch.tensor(losses)))
