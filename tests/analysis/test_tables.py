"""A run's tables, read whole or in part."""

from __future__ import annotations

from pathlib import Path

import pytest

from benben.analysis.tables import ALIGNED, RunTables
from benben.pipeline import manifest, storage
from benben.pipeline.manifest import PartFile
from tests.analysis.run_folder import DOCUMENTS, make


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("run"))  # 13 documents in parts of 6 and 7


def test_a_small_run_is_read_whole(output: str) -> None:
    tables = RunTables(output, documents=13)
    assert (tables.documents_read, tables.documents) == (13, 13)
    assert [tables.paths(name) for name in ALIGNED] == [
        RunTables(output).paths(name) for name in ALIGNED
    ]


def test_of_a_larger_run_the_same_parts_of_all_aligned_tables(output: str) -> None:
    tables = RunTables(output, documents=7)
    assert (tables.documents_read, tables.documents) == (6, 13)
    assert {name: list(tables.paths(name)) for name in ALIGNED} == {name: [0] for name in ALIGNED}
    assert sum(batch.num_rows for batch in tables.batches("dataset/data")) == DOCUMENTS
    assert list(tables.paths("images")) == [0, 1]


@pytest.mark.parametrize(("documents", "parts"), [(1, [0]), (30, [0, 3, 6]), (95, list(range(9)))])
def test_parts_are_spread_over_the_run(tmp_path: Path, documents: int, parts: list[int]) -> None:
    folder = storage.join(make(tmp_path), "documents")
    found = manifest.read(folder)
    assert found
    files = [PartFile(part=part, name=f"{part}.parquet", rows=10, bytes=1) for part in range(10)]
    manifest.write(folder, found.model_copy(update={"files": files}))
    assert sorted(RunTables(str(tmp_path), documents=documents).paths("documents")) == parts
