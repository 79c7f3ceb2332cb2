"""Batches: rows stay in place, odd pages cost nothing but themselves."""

from __future__ import annotations

import pyarrow as pa
import pytest

from benben.filters import signal_table
from benben.filters.decide import decide_batch
from benben.filters.signal_table import measure_batch
from benben.pipeline import config, schema
from tests.filters.pages import SETTINGS, batch, image, measure, page, rules, text


def test_rows_stay_side_by_side_with_the_documents() -> None:
    rows = batch(page(text("one")), page(nodes=None, reason="x"), page(image()), page(text("two")))
    found = measure_batch(rows, SETTINGS)
    assert found.schema == signal_table.SIGNALS
    assert found.column("doc_id") == rows.column("doc_id")
    assert [len(one or []) for one in found.column("paragraphs").to_pylist()] == [1, 0, 0, 1]
    assert [len(one or []) for one in found.column("images").to_pylist()] == [0, 0, 1, 0]
    assert found.column("reason").to_pylist() == [None, "x", None, None]


def test_a_slice_of_a_batch_is_measured_as_the_slice() -> None:
    rows = batch(page(text("one two")), page(text("три"), image()), page(text("四")))
    assert measure_batch(rows.slice(1), SETTINGS) == measure_batch(rows, SETTINGS).slice(1)


def test_large_batches_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = batch(*(page(text(f"page number {number}")) for number in range(5)))
    whole = measure_batch(rows, SETTINGS)
    monkeypatch.setattr(signal_table, "CHUNK", 2)
    assert measure_batch(rows, SETTINGS) == whole


def test_an_empty_batch_is_measured() -> None:
    empty = pa.RecordBatch.from_pylist([], schema=schema.DOCUMENTS)
    assert measure_batch(empty, SETTINGS).num_rows == 0


@pytest.mark.parametrize(
    "odd",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U00020000\U0002a6d6\U0010ffff",
        "\x00\x01\ufeff",
        "\n\n\n",
        "a" * 100_000,
        "é\u0301" * 50,
    ],
)
def test_odd_text_is_measured(odd: str) -> None:
    found = measure(page(text(odd), text("plain words after it"))).to_pylist()[0]
    assert [one["index"] for one in found["paragraphs"]] == [0, 1]
    assert found["paragraphs"][1]["words"] == 4


def test_supplementary_ideographs_are_words_of_their_own() -> None:
    found = measure(page(text("\U00020000\U0002a6d6\U00020000"))).to_pylist()[0]
    assert found["paragraphs"][0]["words"] == 3


def test_labels_of_another_form_are_renamed() -> None:
    settings = SETTINGS.model_copy(update={"language_names": {"en": "eng_Latn"}})
    found = measure(page(text("The owl slept in the old barn.")), settings=settings)
    assert found.column("language").to_pylist() == ["eng_Latn"]


def test_page_signals_of_c4_and_gopher() -> None:
    found = measure(
        page(text("Lorem ipsum dolor {sit}"), text("the owl and the barn that have to be")),
        page(text("сова")),
    ).to_pylist()
    assert [one["lorem_ipsum"] for one in found] == [1, 0]
    assert [one["curly_brackets"] for one in found] == [2, 0]
    assert [one["gopher_stop_words"] for one in found] == [6, 0]
    assert [one["text_nodes"] for one in found] == [2, 1]


@pytest.mark.parametrize(
    ("facts", "number"),
    [
        (None, 0),
        ([], 0),
        (["robots-meta:noai", "x-robots-tag:noml"], 2),
        (["robots-meta:noindex", "robots-meta:noimageai"], 0),
        (["robots-meta:otherbot:noai"], 0),
        (["robots-meta:gptbot:noai", "content-usage:train-ai=n", "content-signal:ai-train=no"], 3),
        (["robots-meta:ccbot:noai", "x-robots-tag:benben:noml"], 2),
        (["tdm-reservation:1", "tdm-policy:https://example.com/policy"], 1),
    ],
)
def test_opt_outs_of_the_page_are_counted_and_decided(facts: list[str], number: int) -> None:
    signals = measure(page(text("Owls sleep in barns when it rains."), opt_outs=facts))
    assert signals.column("opt_outs").to_pylist() == [number]
    verdict = decide_batch(signals, rules(document={"opt_outs": {"max": 0}})).to_pylist()[0]
    assert verdict["reasons"] == (["document.opt_outs.max"] if number else [])


@pytest.mark.parametrize(
    ("name", "respected"),
    [("default", True), ("multilingual", True), ("strict", True), ("obelics", False)],
)
def test_configs_say_whether_pages_may_opt_out(name: str, respected: bool) -> None:
    assert ("opt_outs" in config.load(name, ["input=[x]"]).rules.document) == respected
