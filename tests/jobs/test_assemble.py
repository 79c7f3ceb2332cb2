"""Rows as they ship: what the ledger keeps, redacted as the config says, and counted."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from benben.jobs.assemble import shipped
from benben.pipeline import config
from benben.pipeline.document import Document, Node
from benben.pipeline.images.image_facts import ImageFacts

DOCUMENT = Document(
    "http://a.test/",
    [
        Node("text", 0, text="Ask bob@mail.org.\n\nOr not."),
        Node("image", 1, url="http://a.test/x.png", alt="bob@mail.org at 8.8.8.8"),
        Node("text", 2, text="Ask sue@mail.org."),
    ],
)
DROPPED = [{"index": 2, "paragraph": None}]


def row(redact: list[str]) -> dict[str, Any]:
    placed: Any = SimpleNamespace(redact=redact, bytes_per_token=4)
    return shipped(DOCUMENT, DROPPED, ImageFacts.read(None), placed)


def test_what_ships_is_redacted_and_counted() -> None:
    found = row(["emails", "ips"])
    assert found["texts"] == ["Ask <EMAIL>.\n\nOr not.", None]
    assert json.loads(found["metadata"])[1]["alt_text"] == "<EMAIL> at <IP>"
    assert found["num_redacted"] == 3
    assert "bob" not in str(found)


def test_without_redaction_the_page_ships_as_it_is() -> None:
    found = row([])
    assert found["texts"] == ["Ask bob@mail.org.\n\nOr not.", None]
    assert found["num_redacted"] == 0


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("default", ["emails", "ips", "credentials"]),
        ("multilingual", ["emails", "ips", "credentials"]),
        ("strict", ["emails", "ips", "phones", "credentials"]),
        ("obelics", []),
        ("unfiltered", []),
    ],
)
def test_each_shipped_config_says_what_it_redacts(name: str, kinds: list[str]) -> None:
    assert config.load(name, ["input=[x]"]).assemble.redact == kinds
