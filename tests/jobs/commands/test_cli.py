"""What a user sees when something is wrong: one message, the right exit code, no half a table."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import yaml
from pyspark.sql import SparkSession

from benben.jobs import stages
from benben.jobs.commands import cli
from benben.pipeline import storage

CONTEXT = click.Context(cli.benben)
NAMES = cli.benben.list_commands(CONTEXT)


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


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 0
    shown = capsys.readouterr().out
    assert set(NAMES) > stages.STAGES.keys()
    assert [name for name in NAMES if f"  {name} " not in shown] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_and_the_common_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: benben {name}" in shown
    if not isinstance(cli.benben.get_command(CONTEXT, name), click.Group):
        assert "--debug" in shown
        assert "--quiet" in shown


MISTAKES = {  # arguments -> what the message names: the argument, and what to do
    ("rn", "default"): ("'rn'", "did you mean 'run'"),
    ("run",): ("CONFIG", "benben run --help"),
    ("run", "defalt"): ("defalt", "did you mean 'default'"),
    ("run", "default", "--forse"): ("--forse", "--force"),
    ("run", "default", "output=x", "input"): ("override 'input'", "write it as key=value"),
    ("run", "default", "input=x", "fetch.limits.seconds=soon"): (
        "override 'fetch.limits.seconds=soon'",
        "got 'soon'",
    ),
    ("run", "default", "input=x", "feth.enabled=no"): (
        "override 'feth.enabled=no'",
        "did you mean 'fetch'",
    ),
    ("run", "default", "input=nowhere/*.warc.gz", "output={tmp}"): (
        "nowhere/*.warc.gz",
        "matches no file",
    ),
    ("run", "default", "input=x", "rules.document.words.min=[1]"): (
        "override 'rules.document.words.min=[1]'",
        "got [1]",
    ),
    ("verify", "nowhere"): ("nowhere: no run here",),
    ("audit", "nowhere", "--per-reason", "many"): ("--per-reason", "'many'"),
    ("export", "nowhere", "to", "--samples", "0"): ("--samples", "x>=1"),
    ("takedown", "nowhere"): ("--host", "--url"),
}


@pytest.mark.parametrize("arguments", MISTAKES, ids=" ".join)
def test_a_mistake_is_told_in_a_line_that_names_the_argument_and_the_fix(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [text.format(tmp=tmp_path / "out") for text in arguments]
    message = failing(capsys, *given, "--quiet")
    assert [part for part in MISTAKES[arguments] if part not in message] == [], message
    assert "default.yaml" not in message
    assert len(message.strip().split("\n")) <= 2


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
