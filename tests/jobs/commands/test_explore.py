from pathlib import Path

import pytest

from benben.jobs.commands import cli
from tests.analysis.run_folder import make


def test_explore_takes_its_own_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make(tmp_path / "run")
    assert cli.main(["explore", run, "--static", str(tmp_path / "out"), "--documents", "2"]) == 0
    assert (tmp_path / "out/index.html").is_file()
    assert "index.html: 6 pages" in capsys.readouterr().out
