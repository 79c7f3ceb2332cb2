"""Arms at equal tokens and order, resumed, compared with noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benben.trainer.ablation import arms, compare
from benben.trainer.commands import cli
from benben.trainer.config import CONFIGS, ConfigError
from tests.trainer.runs import settings


def grid_file(made: Path, tmp_path: Path, **changes: Any) -> Path:
    base = tmp_path / "base.yaml"
    base.write_text(settings(made, tmp_path / "unused", run={"steps": 3}).model_dump_json())
    grid = {
        "base": str(base),
        "set": {"run.device": "cpu", "run.tensorboard": False},
        "grid": {"model.lm.positions": ["rope", "learned"]},
        "evaluate": {"packs": 2, "lengths": [1, 2]},
        **changes,
    }
    file = tmp_path / "grid.yaml"
    file.write_text(yaml.safe_dump(grid))
    return file


def test_command_resumes_and_reports(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = grid_file(made, tmp_path), tmp_path / "out"
    assert cli.main(["ablate", str(file), "--out", str(out)]) == 0
    text = (out / "ablation.md").read_text()
    assert "| positions=learned |" in text
    assert "within noise" in text or "beyond noise" in text
    runs = json.loads((out / "ablation.json").read_text())["runs"]
    assert [(r["arm"], r["seed"]) for r in runs] == [
        ("positions=rope", 0),
        ("positions=learned", 0),
        ("positions=rope", 1),
        ("positions=learned", 1),
    ]
    assert runs[0]["tokens"] == runs[1]["tokens"], "the arms saw other data"
    evaluations = runs[0]["evaluations"]
    assert {name.split()[-1] for name in evaluations} == {"x1", "x2"}
    before = {p: p.stat().st_mtime_ns for p in out.rglob("record.json")}
    (out / "positions=rope" / "seed_1" / "record.json").unlink()  # as if killed before the end
    assert cli.main(["ablate", str(file), "--out", str(out)]) == 0
    again = json.loads((out / "ablation.json").read_text())["runs"]
    assert again[2]["evaluations"] == runs[2]["evaluations"]
    after = {p: p.stat().st_mtime_ns for p in out.rglob("record.json")}
    assert sum(before[p] != after[p] for p in before) == 1, "a finished run was run again"
    capsys.readouterr()
    other = grid_file(made, tmp_path, set={"run.device": "cpu", "optim.lr": 1e-4})
    assert cli.main(["ablate", str(other), "--out", str(out)]) == 2
    assert "made by another grid" in capsys.readouterr().err


def test_data_order_is_the_arms_common_one(made: Path, tmp_path: Path) -> None:
    grid = arms.read(grid_file(made, tmp_path))
    first, second = (arms.arm_config(grid, arm, 1, tmp_path / arm, None) for arm in grid.changes())
    assert first.data == second.data
    assert (first.data.seed, first.run.seed) == (1, 1)
    assert first.model.lm.positions != second.model.lm.positions


def test_mistakes_of_a_grid(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="either arms or grid"):
        arms.read(grid_file(made, tmp_path, arms={"a": {}}))
    with pytest.raises(ConfigError, match="two seeds"):
        arms.read(grid_file(made, tmp_path, seeds=[3]))
    with pytest.raises(ConfigError, match="no such file"):
        arms.read(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", sorted((CONFIGS / "grids").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_grids_load(path: Path, tmp_path: Path) -> None:
    grid = arms.read(path)
    for arm in grid.changes():
        assert arms.arm_config(grid, arm, grid.seeds[0], tmp_path, None).data.mix


def record(arm: str, seed: int, value: float) -> dict[str, Any]:
    evaluation = {
        "bits_per_byte": value,
        "nll": value,
        "languages": {"en": {"bits_per_byte": value}},
        "captions": {"tokens": 0},
    }
    return {"arm": arm, "seed": seed, "tokens": 9, "evaluations": {"corpus x1": evaluation}}


def test_only_differences_beyond_the_seeds_spread_count() -> None:
    """Three arms, three seeds; the second is a seed's noise away, the third far."""
    noise = {0: 0.00, 1: 0.02, 2: 0.01}
    shift = {"base": {0: 0, 1: 0, 2: 0}, "near": {0: 0.01, 1: -0.01, 2: 0.0}}
    records = [record(a, s, 1 + noise[s] + shift[a][s]) for a in shift for s in noise]
    records += [record("far", s, 1.2 + noise[s] + 0.005 * s) for s in noise]
    found = compare.compare(records)["corpus x1 bits/byte"]
    assert not found["near"]["beyond_noise"]
    assert found["far"]["beyond_noise"]
    assert found["far"]["difference"] == pytest.approx(0.205)
    # pooled over the differences' variances 1e-4 and 2.5e-5, 4 degrees, 1 - 0.05 / 2 / 2
    assert found["far"]["half_difference"] == pytest.approx(3.4954 * (6.25e-5 / 3) ** 0.5, rel=1e-3)
    assert found["base"]["mean"] == pytest.approx(1.01)
    assert "corpus x1 en bits/byte" in compare.compare(records)
