"""Labels in the formats of other tools."""

from __future__ import annotations

import json

import pytest

from benben.analysis.tuning import exchange
from benben.pipeline.errors import InputError

LABELS = {("aa", -1): True, ("aa", 4): False, ("bb", -1): False}
SHOWN = {("aa", -1): ("https://a.example/", '=cmd() "quoted",\nsecond line'), ("aa", 4): ("u", "é")}


@pytest.mark.parametrize("name", sorted(exchange.FORMATS))
def test_what_is_exported_is_read_again(name: str) -> None:
    text = exchange.FORMATS[name](LABELS, SHOWN)
    assert exchange.read(text.encode(), name) == LABELS


def test_own_lines_are_read_and_empty_files_hold_nothing() -> None:
    own = b'{"doc_id": "aa", "index": 3, "keep": true}\n{"doc_id": "b", "index": -1, "keep": false}'
    assert exchange.read(own, "x") == {("aa", 3): True, ("b", -1): False}
    assert exchange.read(b"", "x") == {}
    assert exchange.read(b"doc_id,label\nq,drop\n", "x") == {("q", -1): False}


def test_answers_of_people_count_and_missing_ones_do_not() -> None:
    task = {
        "data": {"doc_id": "aa", "index": 2},
        "annotations": [
            {"was_cancelled": True, "result": [{"value": {"choices": ["keep"]}}]},
            {"result": [{"value": {"choices": ["drop"]}}]},
        ],
    }
    open_ = {"data": {"doc_id": "bb", "index": 1}, "annotations": []}
    assert exchange.read(json.dumps([task, open_]).encode(), "x") == {("aa", 2): False}
    record = {
        "metadata": {"doc_id": "cc", "index": -1},
        "responses": [{"values": {"verdict": {"value": "keep"}}, "status": "submitted"}],
    }
    unanswered = {"metadata": {"doc_id": "dd", "index": -1}, "responses": {}}
    assert exchange.read(json.dumps([record, unanswered]).encode(), "x") == {("cc", -1): True}


def test_spreadsheets_run_nothing() -> None:
    assert "'=cmd()" in exchange.to_csv(LABELS, SHOWN)


@pytest.mark.parametrize(
    "data", [b"doc_id,label\nq,maybe\n", b"{broken", b"[1, 2]", b"a,b\n1,2\n", b"\xff\xfe"]
)
def test_what_is_no_label_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"x\.csv"):
        exchange.read(data, "x.csv")
