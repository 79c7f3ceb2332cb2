"""Benchmark items in documents."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benben.pipeline.deduplication import decontamination
from benben.pipeline.errors import InputError
from benben.pipeline.settings.deduplicate import DecontaminateSettings

ITEM = "Which of the following rivers flows through the capital of Hungary and into the Black Sea"


def settings(path: Path, text: str, least: int = 1) -> DecontaminateSettings:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return DecontaminateSettings(sets={"quiz": str(path)}, ngram_words=13, min_ngrams=least)


def found(texts: list[str], chosen: DecontaminateSettings) -> list[str | None]:
    benchmarks = decontamination.load_ngrams(chosen)
    items = decontamination.find_contamination(texts, benchmarks, chosen)
    return [item and item["item"] for item in items]


def test_an_item_is_found_inside_a_text_whatever_its_case_and_punctuation(tmp_path: Path) -> None:
    chosen = settings(tmp_path / "quiz.txt", f"A short line\n{ITEM}?\n")
    texts = ["Nothing of it. " * 30, f"Quiz night! {ITEM.upper()}: the Danube.", "", ITEM[:60]]
    assert found(texts, chosen) == [None, "2", None, None]
    assert decontamination.load_ngrams(chosen).short == 1


def test_the_item_with_most_shared_ngrams_is_named(tmp_path: Path) -> None:
    lines = f'{{"id": "half", "text": "{ITEM[:75]}"}}\n{{"id": "whole", "text": "and {ITEM} is"}}\n'
    chosen = settings(tmp_path / "quiz.jsonl.gz", lines)
    assert found([f"and {ITEM} is"], chosen) == ["whole"]


def test_fewer_ngrams_than_asked_for_are_no_contamination(tmp_path: Path) -> None:
    chosen = settings(tmp_path / "quiz.txt", ITEM, least=5)
    assert found([ITEM], chosen) == [None]
    assert found([ITEM], settings(tmp_path / "quiz2.txt", ITEM, least=3)) == ["1"]


def test_no_sets_cost_nothing_and_find_nothing() -> None:
    chosen = DecontaminateSettings(sets={}, ngram_words=13, min_ngrams=1)
    assert found([ITEM], chosen) == [None]


def test_unreadable_sets_say_where(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2"):
        decontamination.load_ngrams(settings(tmp_path / "bad.jsonl", '{"text": "x"}\nnot json\n'))
    absent = DecontaminateSettings(sets={"quiz": "/no/such.txt"}, ngram_words=13, min_ngrams=1)
    with pytest.raises(InputError, match="cannot be read"):
        decontamination.digests(absent.sets.values())
