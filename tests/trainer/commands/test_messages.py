"""Each common mistake is told in one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from benben.trainer.commands import cli
from benben.trainer.loop import train as loop
from tests.trainer.dataset import write_dataset
from tests.trainer.runs import settings

Make = Callable[[Path], list[str]]  # spoils something in a folder; returns overrides


def truncated(folder: Path) -> list[str]:
    file = folder / "data" / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    return []


def no_model(folder: Path) -> list[str]:
    return [f"model.lm.huggingface={folder / 'nowhere'}"]


def no_config(folder: Path) -> list[str]:
    (folder / "empty").mkdir()
    return [f"model.lm.huggingface={folder / 'empty'}"]


def other_tower(folder: Path) -> list[str]:
    transformers.SiglipVisionConfig(num_hidden_layers=1).save_pretrained(folder / "tower")
    return [f"model.vision.huggingface={folder / 'tower'}", "model.vision.family=clip"]


CASES: dict[str, tuple[Make | list[str], str]] = {
    "truncated parquet": (truncated, "part-0.parquet: truncated, or no parquet: copy it again"),
    "no data": (["data.mix=[{path: /nowhere/at-all}]"], "/nowhere/at-all"),
    "no tokenizer": (["data.tokenizer=nowhere"], "no nowhere: make one with"),
    "no model folder": (no_model, "no such folder, nor a name such as OWNER/MODEL"),
    "an empty model folder": (no_config, "no readable config.json"),
    "world size": (["parallel.dp=2"], "dp 2 x sp 1 x tp 1 is not the 1 processes started"),
    "workers": (["data.workers=3"], "data.workers 3 must divide the 4 lanes of a data rank"),
    "tower family": (other_tower, "a siglip_vision_model, not a clip: set vision.family=siglip"),
    "negative steps": (["run.steps=-1"], "run.steps: Input should be greater than or equal to 1"),
    "negative workers": (["data.workers=-2"], "data.workers: Input should be greater than"),
    "negative rate": (["optim.lr=-1"], "optim.lr: Input should be greater than"),
    "no packs": (["optim.batch_packs=0"], "optim.batch_packs: Input should be greater than"),
    "share": (["data.holdout=1.5"], "data.holdout: Input should be less than or equal to 1"),
    "an unknown store": (["checkpoint.dir=nowhere://run"], "no store with the scheme nowhere"),
    "time-out": (["parallel.timeout=0"], "parallel.timeout: Input should be greater than 0"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_told_in_a_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, expected = CASES[name]
    folder = write_dataset(tmp_path / "made", 20)
    file = tmp_path / "run.yaml"
    file.write_text(settings(folder, tmp_path / "run").model_dump_json())
    overrides = change if isinstance(change, list) else change(folder)
    assert cli.main(["train", str(file), *overrides]) == 2
    message = capsys.readouterr().err
    assert expected in message, message
    assert len(message.strip().splitlines()) == 1, message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("option", "value"), [("--gpus", "0"), ("--tokens", "-5"), ("--host-gib", "-1")]
)
def test_negative_budgets_of_a_plan_are_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["plan", "demo", option, value])
    assert f"argument {option}: {value}: needs a number of at least" in capsys.readouterr().err


def test_out_of_memory_says_what_to_switch_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has")

    file = tmp_path / "run.yaml"
    file.write_text(settings(made, tmp_path / "run").model_dump_json())
    monkeypatch.setattr(loop.Training, "forward_backward", full)
    assert cli.main(["train", str(file)]) == 2
    message = capsys.readouterr().err
    assert "(CUDA out of memory. Tried to allocate 2 GiB): switch on run.micro_packs=1" in message
    assert len([line for line in message.splitlines() if line.startswith("benben-train:")]) == 1
    everything = settings(
        made,
        tmp_path,
        memory={
            "recompute": "layer",
            "tile_loss": 1,
            "tile_mlp": 1,
            "offload": True,
            "group": 2,
        },
        optim={"state": "bfloat16", "batch_packs": 4},
        run={"micro_packs": 1},
    )
    assert "a shorter data.seq_len, or more GPUs" in loop.out_of_memory(everything, Exception())


def test_without_arguments_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in ("train", "eval", "plan", "ablate"))
