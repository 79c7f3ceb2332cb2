"""Scores with intervals that cover the truth, and thresholds that hit a known optimum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benben.analysis.tuning import labels
from benben.pipeline.settings.signals import Rule
from tests.analysis.tuning.test_what_if import table

GOOD, BAD = True, False


def test_scores_by_hand() -> None:
    dropped = np.array([1, 1, 1, 0, 0, 0, 0, 0], bool)
    bad = np.array([1, 1, 0, 1, 1, 0, 0, 0], bool)
    found = labels.score(dropped, bad)
    assert found.labelled == 8
    assert found.precision.value == pytest.approx(2 / 3)
    assert found.recall.value == pytest.approx(2 / 4)
    assert found.f1.value == pytest.approx(4 / 7)
    assert found == labels.score(dropped, bad)


def test_intervals_cover_the_truth_in_90_of_100_trials() -> None:
    """In a population with precision 0.8 and recall 0.6."""
    covered = {"precision": 0, "recall": 0, "f1": 0}
    truth = {"precision": 0.8, "recall": 0.6, "f1": 2 * 0.8 * 0.6 / 1.4}
    cells = np.array([0.24, 0.06, 0.16, 0.54])  # dropped bad, dropped good, kept bad, kept good
    for seed in range(100):
        cell = np.random.default_rng(seed).choice(4, 300, p=cells)
        found = labels.score(cell < 2, (cell == 0) | (cell == 2), seed)
        for name in covered:
            estimate = getattr(found, name)
            covered[name] += estimate.low <= truth[name] <= estimate.high
    assert min(covered.values()) >= 90, covered


@pytest.mark.parametrize("end", ["min", "max"])
def test_a_clean_cut_is_found(end: str) -> None:
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    keep = np.array([BAD, BAD, GOOD, GOOD, GOOD, GOOD])
    if end == "max":
        values = -values
    found = labels.propose(values, keep, end)  # type: ignore[arg-type]
    assert found is not None
    assert abs(found.bound) == pytest.approx(0.25)
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)


def test_proposals_hit_the_known_optimum() -> None:
    """Bad rows lie below 0.3, one in ten labels is wrong: the best F1 is at 0.3."""
    random = np.random.default_rng(1)
    values = random.random(4000)
    keep = (values >= 0.3) ^ (random.random(4000) < 0.1)
    found = labels.propose(values, keep, "min")
    assert found is not None
    assert found.bound == pytest.approx(0.3, abs=0.005)


def test_wanted_precision_and_recall() -> None:
    values = np.arange(10.0)
    keep = np.array([BAD, BAD, BAD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD, GOOD])
    precise = labels.propose(values, keep, "min", precision=1.0)
    assert precise is not None
    assert (precise.bound, precise.recall) == (2.5, 0.75)
    complete = labels.propose(values, keep, "min", recall=1.0)
    assert complete is not None
    assert (complete.bound, complete.precision) == (4.5, 0.8)
    assert labels.propose(values, ~keep, "min", precision=1.0) is None


def test_labels_survive_a_file_and_meet_their_rows(tmp_path: Path) -> None:
    path = str(tmp_path / "labels.jsonl")
    assert labels.read(path) == {}
    known = {("7", -1): False, ("3", -1): True, ("nowhere", -1): True}
    labels.save(path, known)
    assert labels.read(path) == known
    rows, keep = labels.align(table(10), known)
    assert (rows.tolist(), keep.tolist()) == ([3, 7], [True, False])


def test_evaluation_of_each_rule_and_of_the_chain() -> None:
    made = table()
    made.values["words"] = np.where(np.arange(1000) < 100, 0.0, 1.0).astype(np.float32)
    made.values["chars"] = np.where(np.arange(1000) < 50, 1.0, 0.0).astype(np.float32)
    known = {(str(row), -1): row >= 100 for row in range(200)}
    rules = {"words": Rule(min=0.5), "chars": Rule(max=0.5)}
    found = labels.evaluate(made, rules, known)
    assert (found["words"].precision.value, found["words"].recall.value) == (1, 1)
    assert (found["chars"].precision.value, found["chars"].recall.value) == (1, 0.5)
    assert found["chain"].f1.value == 1
    assert labels.with_bound(rules["words"], "min", 0.25).min == 0.25
