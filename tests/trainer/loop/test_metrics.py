"""What the terminal says of the time left."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benben.trainer.loop.metrics import Metrics


def test_time_left_is_steps_left_at_the_pace_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    metrics = Metrics(tmp_path, tensorboard=False, steps=500)
    now += 60.0  # loading a checkpoint and the first step are not the pace
    metrics.write(301, {"loss": 2.0})
    metrics.show(301, {"loss": 2.0})
    assert capsys.readouterr().err.endswith("left unknown\n")
    for step in range(302, 401):
        now += 2.0
        metrics.write(step, {"loss": 1.0})
    metrics.show(400, {"loss": 1.0})
    metrics.close()
    assert capsys.readouterr().err == "step 400/500  loss 1  left 0:03:20\n"
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 100
