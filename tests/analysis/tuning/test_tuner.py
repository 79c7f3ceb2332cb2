"""The tuner on a finished run: effects of rules, rows near a bound, labels, a written config."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from nbclient import NotebookClient

from benben.analysis.tables import RunTables
from benben.analysis.tuning import labels, notebook_widgets
from benben.analysis.tuning.tuner import Tuner
from benben.pipeline import config
from benben.pipeline.config import ConfigError
from benben.pipeline.errors import InputError
from benben.pipeline.images import image_facts
from tests.analysis import run_folder
from tests.shared import ROOT

NOTEBOOK = ROOT / "analysis" / "notebooks" / "tuning.ipynb"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run_folder.make(tmp_path_factory.mktemp("run"))


def test_a_moved_threshold_and_its_margin(run: str) -> None:
    tuner = Tuner(run, "default")
    before = tuner.effects()
    assert before.rows == 12
    after = tuner.move("words", "min", 100_000)  # stops at max
    assert (after.kept, after.dropped["words"]) == (0, 12)
    tuner.move("words", "min", 60)
    shown = tuner.margin("words", 2)
    assert shown
    assert "data:image/jpeg;base64," in "".join(shown.values())
    assert "<script>" not in "".join(shown.values())


def test_a_group_alone_is_moved_and_has_its_own_nearest_rows(run: str) -> None:
    tuner = Tuner(run, "default", scope="text_node")
    tuner.watch("chars")
    assert tuner.rows_near("chars", 2) == []
    code = tuner.move("chars", "min", 10_000, ("kind", "code"))
    assert tuner.table.of_group(("kind", "code")) is None  # the run has none
    assert code.dropped["chars"] == 0
    texts = tuner.move("chars", "min", 10_000, ("kind", "text"))
    of_kind = tuner.table.of_group(("kind", "text"))
    assert of_kind is not None
    assert texts.dropped["chars"] == int(of_kind.sum()) > 0
    near = tuner.rows_near("chars", 2)
    assert len(near) == 2
    assert of_kind[near].all()
    with pytest.raises(ConfigError, match=r"by\.kind: no kind 'menu'"):
        tuner.move("chars", "min", 1, ("kind", "menu"))


def test_labels_scores_proposal_and_config(run: str, tmp_path: Path) -> None:
    tuner = Tuner(run, "default")
    words = tuner.table.values["words"]
    median = sorted(words.tolist())[6]
    for doc_id, value in zip(tuner.table.ids, words.tolist(), strict=True):
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


def test_a_written_config_runs_as_it_is_and_says_only_what_differs(
    run: str, tmp_path: Path
) -> None:
    whole = config.load("default", ["input=[crawl]", f"output={run}", "fetch.hosts=3"])
    config.store(whole)
    try:
        tuner = Tuner(run)
        tuner.move("words", "min", 77)
        document = dict(tuner.rules.document)
        del document["images"]
        tuner.rules = tuner.rules.model_copy(update={"document": document})
        tuner.write(str(tmp_path / "mine.yaml"))
    finally:
        (Path(run) / config.RUN_CONFIG).unlink()
    written = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert written["rules"] == {"document": {"words": {"min": 77.0}, "images": None}}
    config.store(whole)
    loaded = config.load(str(tmp_path / "mine.yaml"))
    (Path(run) / config.RUN_CONFIG).unlink()
    assert loaded == whole.model_copy(update={"rules": tuner.rules})


def test_paragraphs_and_images_are_labelled_one_by_one(run: str) -> None:
    tuner = Tuner(run, "default", "text_node")
    assert len(tuner.table) > 12
    shown = tuner.margin("words", 1)
    (doc_id, index), page = next(iter(shown.items()))
    assert index >= 0
    assert page.count("<p class=") == 1
    box = notebook_widgets.margin(tuner, "words", 1)
    box.children[0].children[1].children[1].click()  # drop
    assert tuner.labels[doc_id, index] is False
    assert "drop" in box.children[0].children[1].children[2].value
    rows, keep = labels.align(tuner.table, tuner.labels)
    assert len(rows) >= 1
    assert not keep.any()
    assert tuner.move("spam_word_ratio", "below", 0.01).rows == len(tuner.table)
    images = Tuner(run, "default", "image_node")
    assert images.effects().rows == len(images.table)


def test_overlaps_of_rules_are_a_table(run: str) -> None:
    tuner = Tuner(run, "default")
    tuner.move("words", "min", 100_000)
    table = notebook_widgets.overlaps(tuner).value
    assert "<th>words</th>" in table
    assert "<b>12</b>" in table


def test_a_run_without_verdicts_cannot_be_tuned(tmp_path: Path) -> None:
    made = Path(run_folder.make(tmp_path / "run"))
    (made / "verdicts" / "manifest.json").unlink()
    with pytest.raises(InputError, match="run decide first"):
        Tuner(str(made), "default")


def test_a_run_that_fetched_is_judged_with_its_images(run: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images were fetched"):
        Tuner(run, "default", fetched=True)
    made = run_folder.make(tmp_path / "run")
    uses = image_facts.uses_of(next(RunTables(made).batches("images")))
    run_folder.write_table(made, "image_uses", "redecide", {"part": uses})
    settings = config.load("default", ["input=[x]"])
    final = next(RunTables(made).batches("final_verdicts"))
    run_folder.write_table(made, "final_verdicts", "redecide", {"part": final},
                           config={"fetch": settings.fetch.model_dump(mode="json")})  # fmt: skip
    tuner = Tuner(made, "default", "image_node", fetched=True)
    assert not tuner.replay.tables["document"].pending
    refused = tuner.replay.stored.refused
    assert refused is not None
    assert refused.sum() == 1  # the duplicate
    widths = tuner.table.values["width"]
    assert np.nanmin(widths) == 200
    before = tuner.kept()
    assert tuner.move("width", "min", 10_000).dropped["width"] > 0
    assert tuner.kept() < before
    tuner.scope = "document"
    assert tuner.kept() == 0


def test_exact_numbers_and_sliders_move_one_bound(run: str) -> None:
    tuner = Tuner(run, "default")
    style, *rows, shown = notebook_widgets.sliders(tuner).children
    assert ".kept" in style.value
    slider, exact, chart = next(row.children for row in rows
                                if row.children[0].description == "words min")  # fmt: skip
    before = chart.value
    exact.value = 53.25
    assert tuner.rules.document["words"].min == slider.value == 53.25
    slider.value = 80
    assert tuner.rules.document["words"].min == exact.value == 80
    assert chart.value != before
    assert slider.step == 1
    assert f"kept {tuner.kept():,} of 12" in shown.value


def test_the_notebook_runs_from_top_to_bottom(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENBEN_RUN", run)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(ROOT))
    assert "12 rows of document" in str(notebook.cells[1]["outputs"])
    assert "of 12" in str(notebook.metadata["widgets"])
