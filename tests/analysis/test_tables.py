"""A run's folder as tables, whole or a part of it."""

from pathlib import Path

import pytest

from benben.analysis.report import html_report
from benben.analysis.report.html_report import Corpus
from benben.analysis.tables import ALIGNED, RunTables
from benben.pipeline import manifest, storage
from benben.pipeline.manifest import PartFile
from tests.analysis.run_folder import DOCUMENTS, make


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("run"))  # 13 documents in parts of 6 and 7


def test_a_small_run_is_seen_whole(output: str) -> None:
    tables = RunTables(output, documents=13)
    assert (tables.seen, tables.documents) == (13, 13)
    assert [tables.paths(name) for name in ALIGNED] == [
        RunTables(output).paths(name) for name in ALIGNED
    ]


def test_of_a_larger_run_the_same_parts_of_all_aligned_tables(output: str) -> None:
    tables = RunTables(output, documents=7)
    assert (tables.seen, tables.documents) == (6, 13)
    assert {name: list(tables.paths(name)) for name in ALIGNED} == {name: [0] for name in ALIGNED}
    assert sum(batch.num_rows for batch in tables.batches("dataset/data")) == DOCUMENTS
    assert list(tables.paths("images")) == [0, 1]


@pytest.mark.parametrize(("asked", "seen"), [(1, [0]), (30, [0, 3, 6]), (95, list(range(9)))])
def test_parts_are_spread_over_the_run(tmp_path: Path, asked: int, seen: list[int]) -> None:
    folder = storage.join(make(tmp_path), "documents")
    found = manifest.read(folder)
    assert found
    files = [PartFile(part=part, name=f"{part}.parquet", rows=10, bytes=1) for part in range(10)]
    manifest.write(folder, found.model_copy(update={"files": files}))
    assert sorted(RunTables(str(tmp_path), documents=asked).paths("documents")) == seen


def test_the_report_says_what_it_has_seen(output: str) -> None:
    assert "whole parts, evenly spread" not in html_report.render(output)
    html = html_report.render(output, corpus=Corpus(distribution_documents=7))
    assert "drawn from 6 of 13" in html
    assert html.count("This is page") >= DOCUMENTS  # shipped documents are all there
