"""What-if counts equal a plain recount; documents' values equal those of a full decision."""

from __future__ import annotations

import numpy as np
import pytest

from benben.analysis.tuning.what_if import SignalTable, WhatIf, fails, load, phi
from benben.filters.decide import decide_batch
from benben.pipeline.settings.signals import Rule
from tests.filters.pages import image, measure, page, rules, text

LONG = "The owl slept in the old barn while the rain fell on the roof."


def table(rows: int = 1000, seed: int = 3) -> SignalTable:
    random = np.random.default_rng(seed)
    values = {name: random.random(rows, np.float32) for name in ("words", "chars", "lines")}
    values["words"][:5] = np.nan
    language = random.integers(0, 2, rows).astype(np.int16)
    ids = [str(row) for row in range(rows)]
    return SignalTable("document", values, ["en", "zh"], language, np.arange(rows),
                 np.full(rows, -1, np.int32), ids)  # fmt: skip


RULES = {
    "words": Rule(min=0.2, languages={"zh": Rule(min=0.05)}),
    "chars": Rule(max=0.9),
    "lines": Rule(min=0.1, max=0.8),
}


def test_counts_equal_a_plain_recount() -> None:
    made = table()
    masks = {name: fails(made, name, rule) for name, rule in RULES.items()}
    found = WhatIf(made).effects(RULES)
    failing = np.sum(list(masks.values()), axis=0)
    assert found.kept == int((failing == 0).sum())
    for name, mask in masks.items():
        assert found.dropped[name] == int(mask.sum())
        assert found.marginal[name] == int((mask & (failing == 1)).sum())
    shared = int((masks["words"] & masks["lines"]).sum())
    assert found.overlap["words", "lines"] == shared
    expected = np.corrcoef(masks["words"], masks["lines"])[0, 1]
    assert found.correlation["words", "lines"] == pytest.approx(expected)
    assert np.array_equal(WhatIf(made).kept(RULES), failing == 0)


def test_unknown_values_are_dropped_by_no_rule_and_languages_have_their_bounds() -> None:
    made = table()
    made.values["words"][:] = 0.1
    made.values["words"][0] = np.nan
    failing = fails(made, "words", RULES["words"])
    assert not failing[0]
    assert np.array_equal(failing[1:], made.language[1:] == 0)


def test_a_moved_threshold_is_counted_again() -> None:
    what_if = WhatIf(table())
    before = what_if.effects(RULES).dropped["chars"]
    assert what_if.effects({**RULES, "chars": Rule(max=0.5)}).dropped["chars"] > before
    assert what_if.effects(RULES).dropped["chars"] == before


def test_phi_of_a_rule_that_drops_nothing_is_zero() -> None:
    assert phi(0, 5, 0, 10) == 0


def test_a_table_holds_the_values_that_a_decision_uses() -> None:
    signals = measure(
        page(text(LONG), text("no"), image()), page(nodes=None, reason="x"), page(text(LONG))
    )
    judged = rules(
        text_node={"words": {"min": 4}}, document={"words": {"min": 20}, "images": {"min": 1}}
    )
    made = load([signals], judged, "document")
    assert made.ids == ["0", "2"]
    assert made.values["words"].tolist() == [14, 14]
    decided = [row for row in decide_batch(signals, judged).to_pylist() if row["doc_id"] != "1"]
    assert [row["kept"] for row in decided] == WhatIf(made).kept(judged.document).tolist()
    nodes = load([signals], judged, "text_node")
    assert nodes.values["words"].tolist() == [14, 1, 14]
    assert nodes.index.tolist() == [0, 1, 0]
