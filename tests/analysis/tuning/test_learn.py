"""Bounds learned from labels: `benben tune RUN --labels FILE`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benben.analysis.tables import RunTables
from benben.analysis.tuning import labelled, labels, learn, written
from benben.analysis.tuning.gold import align
from benben.analysis.tuning.labelled import Labelled, Weights
from benben.filters.decide import decide_batch
from benben.filters.signal_table import read_rules
from benben.jobs.commands.cli import main
from benben.pipeline import config
from benben.pipeline.errors import InputError
from benben.pipeline.settings.signals import Rule
from tests.analysis import run_folder
from tests.filters.pages import measure, page, rules, text

GOOD = "The owl slept in the old barn while the rain fell on the roof of the house."
MENU = "Home"
GERMAN = "Die Eule schlief in der alten Scheune, während der Regen auf das Dach des Hauses fiel."


def made(number: int = 20, german: bool = False) -> Labelled:
    """Pages of a menu, which is no gold, and a sentence, which is."""
    body = GERMAN if german else GOOD
    pages = [page(text(MENU), text(body), text(f"{MENU} contact")) for _ in range(number)]
    signals = measure(*pages)
    gold = np.array([0.0, len(body.split()), 0.0] * number)
    other = np.array([1.0, 0.0, 2.0] * number)
    fold = np.arange(number) % labelled.FOLDS
    return Labelled(signals, fold, number, {"text_node": Weights(gold, other)})


def test_a_bound_goes_where_gold_and_the_rest_part() -> None:
    judged = rules(text_node={"words": {"min": 1, "max": 1000}})
    found = learn.learn(made(), judged)
    words = found.rules.text_node["words"]
    assert words.min == len(GOOD.split())  # whole numbers: the least value that is kept
    assert words.max == 1000  # nothing that is labelled is beyond it
    low = found.evidence[0]
    assert (low.before, low.after, low.lost, low.removed) == (1, words.min, 0, 60)
    assert (low.precision, low.recall) == (1, 1)
    assert (low.held_out_lost, low.held_out_removed) == (0, 60)
    again = learn.learn(made(), judged)
    assert again == found


def test_evidence_is_what_a_decision_drops() -> None:
    data, judged = made(), rules(text_node={"words": {"min": 2}, "chars": {"max": 40}})
    found = learn.learn(data, judged, keep_harmful=True)
    dropped = decide_batch(data.signals, found.rules)["dropped"].to_pylist()
    weights = data.weights["text_node"]
    for one in found.evidence:
        name = f"text_node.{one.signal}.{one.end}"
        rows = [3 * row + entry["index"] for row, entries in enumerate(dropped)
                for entry in entries if entry["reason"] == name]  # fmt: skip
        assert (one.lost, one.removed) == (weights.gold[rows].sum(), weights.other[rows].sum())


def test_a_rule_that_removes_more_gold_than_the_rest_is_off_or_stays_with_a_warning() -> None:
    judged = rules(text_node={"chars": {"max": 20}})  # drops every sentence, and no menu
    found = learn.learn(made(), judged)
    assert found.rules.text_node["chars"].max is None
    assert "chars: null" in written.config_text("default", judged, found.rules, found.evidence)
    judged = rules(text_node={"stopword_ratio": {"min": 0.9}})
    gold, other = np.tile([0.0, 9.0, 0.0], 20), np.tile([1.0, 0.0, 2.0], 20)
    mixed = Labelled(made().signals, np.zeros(20, np.int64), 1,
                     {"text_node": Weights(gold + 1, other)})  # fmt: skip
    kept = learn.learn(mixed, judged, keep_harmful=True)
    off = learn.learn(mixed, judged)
    assert off.rules.text_node["stopword_ratio"].min != 0.9
    for one in kept.evidence:
        assert not one.harmful or kept.rules.text_node["stopword_ratio"].min == 0.9


def test_languages_with_labels_get_bounds_of_their_own() -> None:
    english, german = made(30), made(30, german=True)
    both = Labelled(
        pa.concat_batches([english.signals, german.signals]),
        np.arange(60) % labelled.FOLDS,
        60,
        {
            "text_node": Weights(
                np.concatenate([english.weights["text_node"].gold, np.zeros(90)]),
                np.concatenate([english.weights["text_node"].other, np.full(90, 5.0)]),
            )
        },
    )  # fmt: skip
    found = learn.learn(both, rules(text_node={"words": {"min": 1}}), min_documents=20)
    own = found.rules.text_node["words"].languages
    assert own["en"].min == len(GOOD.split())
    few = learn.learn(both, rules(text_node={"words": {"min": 1}}), min_documents=40)
    assert few.rules.text_node["words"].languages == {}


def test_groups_that_a_rule_names_are_learned_apart_with_their_evidence() -> None:
    places = ("p.1", "p.2", "ul.1/li.1")  # short texts go, short items of lists stay
    blocks = [text(one, path=path) for one, path in zip((MENU, GOOD, MENU), places, strict=True)]
    gold = Weights(np.tile([0.0, 17.0, 1.0], 20), np.tile([1.0, 0.0, 0.0], 20))
    signals = measure(*[page(*blocks)] * 20)
    data = Labelled(signals, np.arange(20) % labelled.FOLDS, 20, {"text_node": gold})
    by = {"kind": {"list_item": {"min": 9}, "code": {"min": 7}}}
    before = rules(text_node={"words": {"min": 1, "by": by}})
    found = learn.learn(data, before)
    words = found.rules.text_node["words"]
    assert words.min == len(GOOD.split())
    assert words.of_group(("kind", "list_item")).min is None
    assert words.of_group(("kind", "code")).min == 7  # none is labelled
    kept = learn.learn(data, before, keep_harmful=True)
    for learned in (found, kept):
        said = written.config_text("default", before, learned.rules, learned.evidence)
        assert "min in kind list_item from 9 to none" in said
        assert "min 7 in kind code stays: nothing that is labelled is beyond it" in said


def test_consent_and_names_are_never_learned() -> None:
    data = made()
    everything_good = Weights(np.ones(20), np.zeros(20))
    both = Labelled(data.signals, data.fold, 20, {**data.weights, "document": everything_good})
    judged = rules(document={"opt_outs": {"max": 0}}, text_node={"kind": {"one_of": ["code"]}})
    found = learn.learn(both, judged)
    assert found.rules == judged
    assert found.evidence == []


def test_paragraphs_are_matched_with_gold_text_in_order() -> None:
    parts = align([(0, "Home\n\nThe owl slept."), (3, "Home again")], "The owl slept. Again")
    assert [(one.index, one.number, one.gold, one.other) for one in parts] == [
        (0, 0, 0, 1), (0, 1, 3, 0), (3, 0, 1, 1)]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run_folder.make(tmp_path_factory.mktemp("run"))


def test_the_command_writes_a_config_that_runs_with_its_evidence(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = list(RunTables(run).batches("documents", ["url"]))
    urls = [url for batch in rows for url in batch["url"].to_pylist()]
    gold = [{"url": url, "gold_text": run_folder.TEXT} for url in urls]
    path, out = tmp_path / "gold.jsonl.gz", tmp_path / "mine.yaml"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, gold)).encode()))
    command = ["tune", run, "--labels", str(path), "--config", "default", "--write", str(out)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "with their main text" in said
    assert "text_node.content_score: min" in said
    first = out.read_text()
    assert "# " in first
    assert "tokens of gold" in first
    loaded = config.load(str(out), ["input=[x]"])
    default = config.load("default", ["input=[x]"])
    assert loaded.rules.document == default.rules.document  # there are no labels of documents
    assert main(command) == 0
    assert out.read_text() == first
    capsys.readouterr()


def test_labels_of_documents_move_the_rules_of_documents(run: str, tmp_path: Path) -> None:
    tables = RunTables(run)
    ids = [one for batch in tables.batches("signals") for one in batch["doc_id"].to_pylist()]
    path = tmp_path / "labels.jsonl"
    labels.save(str(path), {(one, -1): number != 12 for number, one in enumerate(ids)})
    columns = learn_columns()
    found = labelled.collect(tables, labelled.read(str(path)), columns)
    assert set(found.weights) == {"document"}
    assert found.weights["document"].gold.sum() == 11  # the empty page has no row
    loose = rules(document={"words": {"min": 1}})
    made_of = learn.learn(found, loose)
    words = made_of.rules.document["words"].min
    assert words is not None
    assert words > 1
    assert made_of.evidence[0].removed == 1


def learn_columns() -> list[str]:
    from benben.filters.signal_table import required_columns

    return required_columns(rules(document={"words": {"min": 1}}))


def test_files_without_labels_of_the_run_are_refused(run: str, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"url": "https://elsewhere.example/", "gold_text": "x"}\n')
    with pytest.raises(InputError, match="none of its documents"):
        labelled.collect(RunTables(run), labelled.read(str(other)), learn_columns())
    other.write_text("doc_id,label\n")
    with pytest.raises(InputError, match="no labels in it"):
        labelled.read(str(other))
    with pytest.raises(InputError, match="no such file"):
        labelled.read(str(tmp_path / "none"))


def test_a_config_states_groups_that_differ_and_removes_those_that_are_gone(
    tmp_path: Path,
) -> None:
    base, tuned = tmp_path / "base.yaml", tmp_path / "tuned.yaml"
    base.write_text(
        "base: no_rules\nrules:\n  text_node:\n    words:\n      min: 5\n"
        "      languages: {zh: {min: 2}, ja: {min: 3}}\n"
        "      by: {kind: {code: {min: 1}, heading: {min: 2, max: 9}}, "
        "page_type: {forum: {min: 4}}}\n"
    )
    words = {
        "min": 5,
        "languages": {"zh": {"min": 2}},
        "by": {"kind": {"heading": {"min": 3}, "caption": {"min": 1}}},
    }
    after = rules(text_node={"words": words})
    tuned.write_text(written.config_text(str(base), read_rules(str(base)), after))
    assert read_rules(str(tuned)).text_node == after.text_node
    assert "page_type: {forum: null}" in tuned.read_text()


def test_a_config_states_only_what_differs_without_evidence() -> None:
    before = {"document": {"words": {"min": 5, "max": 9}, "images": {"min": 1}}}
    after = {"document": {"words": {"min": 7, "max": 9}}}
    found = written.config_text("x.yaml", rules(**before), rules(**after))
    assert found == ("base: x.yaml\nrules:\n  document:\n    words: {min: 7}\n    images: null\n")
    assert Rule(min=7) == Rule.model_validate({"min": 7})


@pytest.mark.parametrize("line", ['{"gold_text": ', '["gold_text"]', '"gold_text"', "7"])
def test_a_line_of_gold_that_is_no_record_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(f'{{"url": "https://a.example/", "gold_text": "Owls."}}\n\n{line}\n')
    with pytest.raises(InputError, match=r"gold\.jsonl: line 3 is no"):
        labelled.read(str(path))
