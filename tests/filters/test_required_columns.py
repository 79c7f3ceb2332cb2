"""Decisions from the columns that rules require equal decisions from all columns."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from benben.filters.decide import decide_batch, scope_values
from benben.filters.declaration import SCOPES
from benben.filters.signal_table import CATALOGUE, SIGNALS, measure_batch, required_columns
from benben.filters.verdicts import count_verdicts
from benben.pipeline import config, storage
from benben.pipeline.settings.signals import Rule, RuleSettings
from tests.filters.pages import SETTINGS, batch, image, page, text

LONG = "The owl slept in the old barn while the rain fell on the roof."


def stored(folder: Path) -> str:
    pages = [
        page(text(f"{LONG}\n\n{LONG} {LONG}"), image(alt="An owl"), {"kind": "break"}),
        page(text("Сова спала в старом сарае.\n\nshare"), image("https://e.com/logo.png")),
        page(text("我们在公园里看到了一只猫头鹰。"), opt_outs=["robots-meta:noai"]),
        page(reason="x", nodes=None),
    ]
    path = str(folder / "signals.parquet")
    with storage.ParquetWriter(path, SIGNALS) as writer:
        writer.write(measure_batch(batch(*pages), SETTINGS))
    return path


def read(path: str, names: list[str] | None) -> pa.RecordBatch:
    (found,) = storage.iter_parquet(path, names)
    return found


@pytest.mark.parametrize("name", ["default", "obelics", "multilingual", "strict", "unfiltered"])
def test_verdicts_and_counts_are_equal(name: str, tmp_path: Path) -> None:
    path, rules = stored(tmp_path), config.load(name, ["input=[x]"]).rules
    whole, part = read(path, None), read(path, required_columns(rules))
    assert part.nbytes < whole.nbytes
    assert decide_batch(part, rules) == decide_batch(whole, rules)
    verdicts = decide_batch(whole, rules)
    assert count_verdicts(part, verdicts) == count_verdicts(whole, verdicts)


def test_what_rows_are_grouped_by_is_read(tmp_path: Path) -> None:
    by = {"kind": {"text": {"min": 2}}, "page_type": {"forum": {"min": 3}}}
    rules = RuleSettings.model_validate({"text_node": {"words": {"min": 1, "by": by}}})
    path = stored(tmp_path)
    assert {"page_type", "paragraphs.list.element.kind"} <= set(required_columns(rules))
    whole, part = read(path, None), read(path, required_columns(rules))
    assert decide_batch(part, rules) == decide_batch(whole, rules)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_signal_finds_its_columns(scope: str, tmp_path: Path) -> None:
    path = stored(tmp_path)
    for name, signal in CATALOGUE[scope].items():  # type: ignore[index]
        rule = Rule(one_of=["en"]) if signal.names else Rule(min=0.5)
        rules = RuleSettings.model_validate({scope: {name: rule}})
        whole, part = read(path, None), read(path, required_columns(rules))
        assert decide_batch(part, rules) == decide_batch(whole, rules), name
        if not signal.names:
            values = [
                scope_values(one, rules, scope, [name]).values[name]  # type: ignore[arg-type]
                for one in (whole, part)
            ]
            assert values[0].tobytes() == values[1].tobytes(), name
