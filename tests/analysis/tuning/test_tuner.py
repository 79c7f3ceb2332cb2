"""The tuner over a finished run: questions, margins, labels, a written config."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from benben.analysis.provenance import explain
from benben.analysis.provenance.history import trace
from benben.analysis.tables import RunTables
from benben.analysis.tuning import labels, notebook_widgets
from benben.analysis.tuning.audit import audit
from benben.analysis.tuning.compare import between
from benben.analysis.tuning.tuner import Tuner
from benben.pipeline import config
from benben.pipeline.errors import InputError
from tests.analysis import run_folder
from tests.shared import ROOT

NOTEBOOK = ROOT / "analysis" / "notebooks" / "tuning.ipynb"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run_folder.make(tmp_path_factory.mktemp("run"))


def test_a_moved_threshold_and_its_margin(run: str) -> None:
    tuner = Tuner(run, "default")
    before = tuner.ask()
    assert before.rows == 12
    after = tuner.move("words", "min", 100_000)  # stops at max
    assert (after.kept, after.dropped["words"]) == (0, 12)
    tuner.move("words", "min", 60)
    shown = tuner.margin("words", 2)
    assert shown
    assert "data:image/jpeg;base64," in "".join(shown.values())
    assert "<script>" not in "".join(shown.values())


def test_labels_scores_proposal_and_config(run: str, tmp_path: Path) -> None:
    tuner = Tuner(run, "default")
    words = tuner.sheet.values["words"]
    median = sorted(words.tolist())[6]
    for doc_id, value in zip(tuner.sheet.ids, words.tolist(), strict=True):
        tuner.label(doc_id, keep=value >= median)
    found = tuner.propose("words", "min")
    assert found is not None
    assert found.f1 == 1
    tuner.move("words", "min", found.bound)
    assert tuner.scores()["words"].recall.value == 1
    tuner.write(str(tmp_path / "mine.yaml"))
    written = config.load(str(tmp_path / "mine.yaml"), ["input=[x]"])
    assert written.rules == tuner.rules
    assert Tuner(run, "default").labels == tuner.labels


def test_paragraphs_and_images_are_labelled_one_by_one(run: str) -> None:
    tuner = Tuner(run, "default", "text_node")
    assert len(tuner.sheet) > 12
    shown = tuner.margin("words", 1)
    (doc_id, index), page = next(iter(shown.items()))
    assert index >= 0
    assert page.count("<p class=") == 1
    box = notebook_widgets.margin(tuner, "words", 1)
    box.children[0].children[1].children[1].click()  # drop
    assert tuner.labels[doc_id, index] is False
    assert "drop" in box.children[0].children[1].children[2].value
    rows, keep = labels.align(tuner.sheet, tuner.labels)
    assert len(rows) >= 1
    assert not keep.any()
    assert tuner.move("spam_word_ratio", "below", 0.01).rows == len(tuner.sheet)
    images = Tuner(run, "default", "image_node")
    assert images.ask().rows == len(images.sheet)


def test_overlaps_of_rules_are_a_table(run: str) -> None:
    tuner = Tuner(run, "default")
    tuner.move("words", "min", 100_000)
    table = notebook_widgets.overlaps(tuner).value
    assert "<th>words</th>" in table
    assert "<b>12</b>" in table


def test_the_story_of_a_page(run: str) -> None:
    tables = RunTables(run)
    doc_id = Tuner(run).sheet.ids[0]
    found = trace(tables, doc_id)
    assert found is not None
    printed = explain.as_text(found, colour=False)
    assert "text_node.stopword_ratio.min: 0.05, bound 0.3" in printed
    assert "kept" in printed
    assert "\x1b[31m" in explain.as_text(found)
    document = found.document
    assert explain.tell(run, document["url"], colour=False) == printed
    assert explain.tell(run, doc_id, colour=False) == printed
    with pytest.raises(InputError, match="no document with the id or URL 'nowhere'"):
        explain.tell(run, "nowhere")
    page = explain.tell(run, doc_id, html_page=True)
    assert "<script>" not in page
    assert "text_node.stopword_ratio.min" in page


def test_the_notebook_runs_from_top_to_bottom(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENBEN_RUN", run)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(ROOT))
    assert "12 rows of document" in str(notebook.cells[1]["outputs"])
    assert "of 12" in str(notebook.metadata["widgets"])


def test_an_audit_samples_each_reason_with_its_payload(run: str) -> None:
    tables = RunTables(run)
    found = audit(tables, per_reason=2)
    assert found == audit(RunTables(run), per_reason=2)
    rows = found.to_pylist()
    reasons = [row["reason"] for row in rows]
    assert reasons == sorted(reasons)
    assert reasons.count("text_node.stopword_ratio.min") == 2
    node = next(row for row in rows if row["reason"] == "text_node.stopword_ratio.min")
    assert (node["index"], node["payload"]) == (1, run_folder.HOSTILE)
    document = next(row for row in rows if row["reason"] == "document.words.min")
    assert (document["index"], document["value"], document["bound"]) == (None, 2.0, 10.0)


def test_two_shipped_configs_are_compared_on_a_run(run: str) -> None:
    printed = between(run, "default", "strict")
    assert "default keeps and strict drops" in printed
    assert "strict keeps and default drops" in printed
