"""`benben proof` on a small run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benben.analysis.proof import other_text
from benben.jobs.commands.cli import main
from benben.pipeline import config
from tests.analysis.proof import run


def test_the_command_writes_the_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, folder = run.make(tmp_path / "run"), tmp_path / "proof"
    overrides = ["input=[x]", f"output={output}", "fetch.enabled=false"]
    config.store(config.load("no_rules", overrides))
    monkeypatch.setattr(other_text, "OTHERS", {"theirs": lambda archives: None})
    gold = run.gold(tmp_path / "gold.jsonl")
    assert main(["proof", output, str(folder), "--gold", gold]) == 0
    printed = capsys.readouterr()
    assert "theirs is not installed" in printed.out + printed.err
    made = json.loads((folder / "proof.json").read_text())
    assert set(made["arms"]) == {"unfiltered", "default", "obelics", "strict"}
    assert f"default: {made['arms']['default']['documents']} documents" in printed.out
    assert "without text_node.content_score: +" in printed.out
    assert main(["proof", output, str(folder), "--gold", gold, "--language", "de"]) == 2
