"""What `benben config` and `benben reasons` print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from benben.jobs.commands import cli
from benben.pipeline import config


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(arguments) == 0
    return capsys.readouterr().out


def test_show_prints_values_that_load_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(printed(capsys, "config", "show", "strict", "input=x"))
    assert config.load(str(path)) == config.load("strict", ["input=x"])


def test_explain_prints_meaning_type_and_shipped_value(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "config", "explain", "fetch.limits.redirects")
    assert "followed for one image" in shown
    assert "whole number, at least 0" in shown
    value = yaml.safe_load((config.CONFIGS / "default.yaml").read_text())["fetch"]["limits"]
    assert f"configs/default.yaml: {value['redirects']}" in shown
    assert "rules.document.words.max" in printed(
        capsys, "config", "explain", "rules.document.words.max"
    )


def test_diff_prints_what_a_config_changes(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "config", "diff", "strict")
    assert "rules.image_node.width.min: 150.0 -> 200.0" in shown
    assert "fetch.user_agent" not in shown
    assert printed(capsys, "config", "diff", "default", "default") == ""


def test_validate_says_valid_or_names_the_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert "valid" in printed(capsys, "config", "validate", "default", "input=x")
    assert cli.main(["config", "validate", "default", "input=x", "feth=1"]) == 2
    assert "override 'feth=1'" in capsys.readouterr().err


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, "config", "schema"))["properties"]["base"]


def test_a_mistyped_key_or_reason_is_told_with_a_similar_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["config", "explain", "fetch.limit"]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert cli.main(["reasons", "duplicate.urls"]) == 2
    assert "did you mean 'duplicate.url'" in capsys.readouterr().err


def test_reasons_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "reasons", "http.404", "text_node.words.min")
    assert "answered with this status" in shown
    assert "changed by rules.text_node.words.min" in shown
