"""What a user sees when something is wrong: one message, the right exit code, no half a table."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from benben.jobs import stages
from benben.jobs.commands import cli
from benben.pipeline import storage


def config_of(folder: Path, **changes: object) -> str:
    data = {"base": "default", "input": [str(folder / "crawl")], "output": str(folder / "run")}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(data | changes))
    return str(path)


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(arguments) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


def test_a_misspelt_key_names_key_file_and_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = failing(capsys, "run", config_of(tmp_path, fetsh={}))
    assert f"{tmp_path}/mine.yaml: fetsh: unknown key (did you mean 'fetch'?)" in message


def test_a_missing_input_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failing(capsys, "run", config_of(tmp_path))
    assert f"input: {tmp_path}/crawl: no such file or folder" in message
    assert not storage.exists(str(tmp_path / "run" / "documents"))


def test_a_stage_before_its_input_says_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = failing(capsys, "decide", config_of(tmp_path))
    assert "run/signals: no such table yet" in message


@pytest.mark.spark
def test_what_is_no_archive_is_refused_and_leaves_no_table(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "holiday.warc.gz").write_bytes(b"\xff\xd8 not an archive" * 500)
    message = failing(capsys, "run", config_of(tmp_path))
    assert "holiday.warc.gz" in message
    assert "not a WARC or ARC archive" in message
    assert not storage.exists(str(tmp_path / "run" / "documents" / "manifest.json"))


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([])
    assert stopped.value.code == 2
    assert "usage: benben" in capsys.readouterr().err


def test_help_lists_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in stages.STAGES)


def test_a_rule_on_an_unknown_signal_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = failing(capsys, "run", config_of(tmp_path, rules={"document": {"wrods": {"min": 1}}}))
    assert "wrods" in message
    assert not storage.exists(str(tmp_path / "run"))


def test_models_are_listed_and_a_missing_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["models", config_of(tmp_path)]) == 0
    assert "language" in capsys.readouterr().out
    missing = f"signals.language_model={tmp_path}/none.bin"
    assert "none.bin" in failing(capsys, "measure", config_of(tmp_path), missing)
