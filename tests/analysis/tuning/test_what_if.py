"""What-if counts equal a plain recount; documents' values equal those of a full decision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benben.analysis.tuning.what_if import SignalTable, WhatIf, fails, phi
from benben.pipeline.settings.signals import Rule


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


def test_values_of_32_bits_are_compared_with_the_bound_as_it_is() -> None:
    made = table(3)
    made.values["chars"] = np.array([0.1, 0.5, 0.9], np.float32)
    bound = float(np.float32(0.1)) + 1e-12  # above the value, which it would round to
    assert fails(made, "chars", Rule(min=bound)).tolist() == [True, False, False]


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6, width=32))
def test_narrow_values_are_judged_as_wide_ones(bound: float, value: float) -> None:
    made, wide = table(1), table(1)
    made.values["chars"] = np.array([value], np.float32)
    wide.values["chars"] = np.array([value], np.float64)
    for rule in (Rule(min=bound), Rule(max=bound), Rule(below=bound)):
        assert fails(made, "chars", rule) == fails(wide, "chars", rule)
        assert fails(wide, "chars", rule)[0] == bool(
            value < bound if rule.min is not None
            else value > bound if rule.max is not None else value >= bound
        )  # fmt: skip


def test_some_rows_are_counted_alone() -> None:
    made = table()
    mask = made.language == 1
    found = WhatIf(made).effects(RULES, np.packbits(mask), pairs=False)
    assert found.rows == int(mask.sum())
    assert found.dropped["chars"] == int((fails(made, "chars", RULES["chars"]) & mask).sum())
    assert found.overlap == {}
