"""Docs tables name every signal and every rule."""

from __future__ import annotations

from benben.filters.reference import document, rules_markdown, signals_markdown
from benben.filters.signal_table import CATALOGUE
from tests.filters.pages import OBELICS
from tests.shared import ROOT


def test_every_signal_has_a_row_with_unit_meaning_and_source() -> None:
    rows = signals_markdown().splitlines()[2:]
    assert len(rows) == sum(map(len, CATALOGUE.values()))
    assert all(all(cell.strip() for cell in row.strip("|").split("|")) for row in rows)


def test_rules_are_told_with_their_conditions() -> None:
    printed = rules_markdown(OBELICS.rules)
    assert "| text_node | `punctuation_ratio` | min 0.001, where tokens has min 12 |" in printed
    assert "one of jpeg, png, webp" in printed


def test_the_docs_are_those_of_the_code() -> None:
    assert (ROOT / "docs" / "signals.md").read_text() == document(), (
        "make them anew: python -m benben.filters.reference > docs/signals.md"
    )
