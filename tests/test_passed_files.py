"""How many files of the project a value passes on its way: few enough to read in one sitting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from benben.jobs import decide, extract, measure
from benben.jobs.engine.stage import Result, Run, Stage
from benben.pipeline import config
from benben.sample.build import build
from tests.passed_files import passed


class LocalRun(Run):
    """A run whose tasks run in this process, so that the files they pass can be noted."""

    files: set[str]

    def map(
        self, tasks: Sequence[Any], work: Callable[[Any], Result], *_: Any, **__: Any
    ) -> Result:
        """Run each task here and note the files it passes."""
        total = Result()
        for task in tasks:
            done: list[Result] = []
            self.files |= set(passed(lambda task=task, done=done: done.append(work(task))))
            total.add(done[0])
        return total

    def passes(self, *stages: Stage) -> list[str]:
        """Execute stages and return the files that their tasks passed."""
        self.files = set()
        for stage in stages:
            self.execute(stage)
        return sorted(self.files)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LocalRun:
    folder = tmp_path_factory.mktemp("passed")
    build(folder / "sample")
    crawl = folder / "sample" / "crawl-data"
    overrides = [f"input=[{crawl}]", f"output={folder / 'run'}", "spark.partitions=1"]
    return LocalRun(config.load("default", overrides))


def shown(files: list[str]) -> str:
    """The files, for whoever reads a failure."""
    return f"{len(files)} files:\n" + "\n".join(files)


def test_archive_bytes_pass_few_files_to_a_row_of_documents(run: LocalRun) -> None:
    files = run.passes(extract.STAGE)
    assert "pipeline/archive/records.py" in files
    assert len(files) <= 30, shown(files)


def test_a_text_passes_few_files_to_its_verdict(run: LocalRun) -> None:
    run.passes(extract.STAGE)
    files = [file for file in run.passes(measure.STAGE, decide.STAGE) if file.startswith("filters")]
    assert "filters/decide.py" in files
    assert len(files) <= 14, shown(files)
