"""A page explained node by node, as text and as HTML."""

from __future__ import annotations

import pytest

from benben.analysis.provenance import explain
from benben.analysis.provenance.history import history
from benben.analysis.tables import RunTables
from benben.pipeline.errors import InputError
from tests.analysis import run_folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run_folder.make(tmp_path_factory.mktemp("run"))


def test_a_page_is_explained_node_by_node(run: str) -> None:
    tables = RunTables(run)
    doc_id = next(tables.batches("documents", ["doc_id"]))["doc_id"][0].as_py()
    found = history(tables, doc_id)
    assert found is not None
    printed = explain.as_text(found, colour=False)
    assert "text_node.stopword_ratio.min: 0.05, bound 0.3" in printed
    assert "kept" in printed
    assert "\x1b[31m" in explain.as_text(found)
    document = found.document
    assert explain.describe(run, document["url"], colour=False) == printed
    assert explain.describe(run, doc_id, colour=False) == printed
    with pytest.raises(InputError, match="no document with the id or URL 'nowhere'"):
        explain.describe(run, "nowhere")
    page = explain.describe(run, doc_id, html_page=True)
    assert "<script>" not in page
    assert "text_node.stopword_ratio.min" in page
