from pathlib import Path

import pytest

from benben.jobs.commands import cli
from benben.pipeline import config
from tests.analysis.run_folder import make


def test_explore_takes_its_own_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make(tmp_path / "run")
    assert cli.main(["explore", run, "--static", str(tmp_path / "out"), "--documents", "2"]) == 0
    assert (tmp_path / "out/index.html").is_file()
    assert "index.html: 6 pages" in capsys.readouterr().out


def test_archives_that_a_runs_config_names_may_have_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make(tmp_path / "run")
    config.store(config.load("default", ["input=gone/*.warc.gz", f"output={run}"]))
    arguments = ["explore", run, "--static", str(tmp_path / "out"), "--documents", "2"]
    assert cli.main(arguments) == 0
    assert "not shown as they were: input: gone/*.warc.gz" in capsys.readouterr().err
    assert cli.main([*arguments, "--input", "gone/*.warc.gz"]) == 2
