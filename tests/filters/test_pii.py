"""Personal data and secrets: what is found, what is left alone, what redaction writes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benben.filters.signals import pii
from benben.filters.signals.text import Paragraphs, character_tables
from benben.filters.signals.text import lay_out as from_texts
from benben.pipeline.document import Node
from tests.filters.pages import SETTINGS, paragraphs

FOUND = [
    ("emails", "Write to bob.smith+x@mail.example.co.uk now", "bob.smith+x@mail.example.co.uk"),
    ("emails", "Почта: иван@пример.рф, звоните", "иван@пример.рф"),
    ("emails", "邮箱：rmwjubao@people.cn。", "rmwjubao@people.cn"),
    ("ips", "seen from 8.8.8.8 today", "8.8.8.8"),
    ("ips", "over 2001:4860:4860::8888 too", "2001:4860:4860::8888"),
    ("phones", "Tel. +44 20 7946 0958", "+44 20 7946 0958"),
    ("phones", "Call (555) 123-4567!", "(555) 123-4567"),
    ("phones", "Телефон +7 (495) 123-45-67", "+7 (495) 123-45-67"),
    ("credentials", "key AKIAIOSFODNN7EXAMPLE here", "AKIAIOSFODNN7EXAMPLE"),
    ("credentials", "Password: hunter2x, they said", "Password: hunter2x"),
]
LEFT = [
    ("emails", "mail me @home or a@b"),
    ("ips", "10.0.0.1, 192.168.1.1, 127.0.0.1, version 1.2.3.4.5 at 10:30:22"),
    ("phones", "2020-10-11 12:30:45, 1.234.567,00, ISBN 978-3-16-148410-0, pages 100-200"),
    ("credentials", "a password is needed; ask-me; eyJ alone"),
]


@pytest.mark.parametrize(("kind", "one", "span"), FOUND)
def test_what_is_found_is_counted_and_redacted(kind: str, one: str, span: str) -> None:
    assert [one[start:end] for start, end in pii.find(one, kind)] == [span]
    assert paragraphs("Nothing.", one)[1][kind] == 1
    assert pii.redact(one, [kind]) == (one.replace(span, pii.MARKERS[kind]), 1)


@pytest.mark.parametrize(("kind", "one"), LEFT)
def test_what_only_looks_like_it_is_left_alone(kind: str, one: str) -> None:
    assert list(pii.find(one, kind)) == []
    assert paragraphs(one)[0][kind] == 0


def test_pages_made_to_be_slow_or_to_overflow_are_counted() -> None:
    found = paragraphs("a@b.org " * 40_000, "eyJ-" * 40_000, "1." * 40_000, "::" * 20_000)
    assert [one["emails"] for one in found] == [40_000, 0, 0, 0]


def test_the_first_of_two_that_overlap_is_replaced() -> None:
    assert pii.redact("password: bob@example.com") == ("<CREDENTIAL>", 1)


@given(st.text())
def test_redaction_is_done_once(one: str) -> None:
    once, _ = pii.redact(one)
    assert pii.redact(once) == (once, 0)


@given(st.text("a1.:@ -+pasword=(5)E", max_size=40))
def test_a_quick_look_misses_nothing(one: str) -> None:
    found = any(True for kind in pii.KINDS for _ in pii.find(one, kind))
    assert (pii.redact(one)[1] > 0) == found


PIECES = [
    "1",
    "23",
    "4567",
    "٣",
    "+",
    ".",
    ":",
    "-",
    "(",
    ")",
    " ",
    "a",
    "F",
    "@",
    "sk-",
    "8.8.8.8",
]


@given(st.lists(st.sampled_from([*PIECES, "password: "]), min_size=1, max_size=30))
def test_a_quick_look_at_a_batch_misses_nothing(pieces: list[str]) -> None:
    one = "x" + "".join(pieces) + "x"
    texts = [one, "Between.", *(found for _, found, _ in FOUND)]
    laid_out = lay_out(texts)
    for kind, counted in pii.count(laid_out).items():
        assert counted.tolist() == [sum(1 for _ in pii.find(text, kind)) for text in texts]


def lay_out(texts: list[str]) -> Paragraphs:
    tables = character_tables(SETTINGS.punctuation, SETTINGS.terminal)
    rows = np.arange(len(texts))
    return from_texts(pa.array(texts), rows, rows * 0, len(texts), tables)


def test_nodes_ship_redacted_where_people_read() -> None:
    nodes = [
        Node("text", 0, text="Write to a@b.org or call +44 20 7946 0958."),
        Node("image", 1, url="http://x.test/a@b.org.png", alt="a@b.org", caption="by c@d.org"),
        Node("text", 2, text="Nothing here."),
    ]
    found, number = pii.redact_nodes(nodes, ["emails"])
    assert number == 3
    assert found[0].text == "Write to <EMAIL> or call +44 20 7946 0958."
    assert (found[1].url, found[1].alt, found[1].caption) == (nodes[1].url, "<EMAIL>", "by <EMAIL>")
    assert found[2] is nodes[2]
    assert pii.redact_nodes(nodes, []) == (nodes, 0)
