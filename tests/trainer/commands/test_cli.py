from __future__ import annotations

from pathlib import Path

import pytest

from benben.trainer.commands import cli
from benben.trainer.config import CONFIGS, ConfigError, load
from tests.trainer.runs import settings


@pytest.fixture(scope="module")
def config(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    file = folder / "run.yaml"
    file.write_text(settings(made, folder / "run").model_dump_json())
    return file


def test_train_eval_and_checkpoints(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", str(config), "run.steps=2", "run.eval_packs=2"]) == 0
    run = config.parent / "run"
    assert (run / "evaluation.md").read_text().startswith("| measure | value |")
    assert cli.main(["eval", str(config), "run.eval_packs=2", "--shots", "1"]) == 0
    assert "made_1_shot" in capsys.readouterr().out
    assert cli.main(["ckpt", "list", str(run)]) == 0
    assert "step 2" in capsys.readouterr().out
    assert cli.main(["ckpt", "verify", str(run)]) == 0
    assert cli.main(["ckpt", "export", str(run), str(tmp_path / "atoms")]) == 0
    assert cli.main(["ckpt", "import", str(tmp_path / "atoms"), str(tmp_path / "again")]) == 0
    assert cli.main(["ckpt", "huggingface", str(run), str(tmp_path / "hf")]) == 0
    assert (tmp_path / "hf" / "model.safetensors").is_file()


def test_plan_prints_what_a_run_needs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", str(config), "model.lm.vocab_size=300", "--tokens", "2048"]) == 0
    out = capsys.readouterr().out
    assert "parameters" in out
    assert "2,048 tokens" in out


def test_mistakes_are_told_at_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["train", str(config), "optim.learning=1", "run.step=3", "model.lm.heads=x"]
    assert cli.main(wrong) == 2
    message = capsys.readouterr().err
    assert "3 mistakes" in message
    assert "run.step: unknown" in message
    assert cli.main(["eval", "no-such-config"]) == 2
    assert "no such config" in capsys.readouterr().err
    empty = [str(config), "checkpoint.dir=" + str(config.parent / "none")]
    assert cli.main(["eval", *empty]) == 2
    assert "no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(p.stem for p in CONFIGS.glob("*.yaml")))
def test_shipped_configs_load(name: str) -> None:
    assert load(name).data.mix
    with pytest.raises(ConfigError, match="write it as key=value"):
        load(name, ["optim.lr"])
