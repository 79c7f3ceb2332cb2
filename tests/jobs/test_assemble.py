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
    placed: Any = SimpleNamespace(redact=redact, bytes_per_token=4, markdown=False)
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


def test_texts_are_markdown_or_plain_with_equal_counts() -> None:
    nodes = [
        Node("text", 0, path="h2.1", tag="h2", text="Owls"),
        Node("text", 1, path="ul.2/li.1", tag="li", text="barn"),
        Node("text", 2, path="ul.2/li.2", tag="li", text="snowy"),
        Node("image", 3, url="http://a.test/x.png"),
        Node("text", 4, path="p.4", tag="p", text="They hunt."),
    ]
    document = Document("http://a.test/", nodes)
    placed: Any = SimpleNamespace(redact=[], bytes_per_token=4, markdown=True)
    marked = shipped(document, [], ImageFacts.read(None), placed)
    placed.markdown = False
    plain = shipped(document, [], ImageFacts.read(None), placed)
    assert marked["texts"] == ["## Owls\n\n- barn\n- snowy", None, "They hunt."]
    assert plain["texts"] == ["Owls\n\nbarn\n\nsnowy", None, "They hunt."]
    for name in ("num_words", "num_chars", "num_texts", "images", "metadata", "text_metadata"):
        assert marked[name] == plain[name]
    assert json.loads(str(marked["text_metadata"])) == [
        [
            {"index": 0, "tag": "h2", "level": 2},
            {"index": 1, "tag": "li", "list_depth": 1, "section": 0},
            {"index": 2, "tag": "li", "list_depth": 1, "section": 0},
        ],
        None,
        [{"index": 4, "tag": "p", "section": 0}],
    ]


def test_obelics_ships_plain_texts_and_default_markdown() -> None:
    forms = {
        name: config.load(name, ["input=[x]"]).assemble.text for name in ("default", "obelics")
    }
    assert forms == {"default": "markdown", "obelics": "plain"}
