"""Robots directives and TDM reservations as pages and servers write them."""

from __future__ import annotations

import pytest

from benben import extract_page
from benben.pipeline.consent.directives import (
    Directive,
    binding_words,
    parse,
    response_agents,
)

URL = "https://ex.org/"


@pytest.mark.parametrize(
    ("markup", "facts"),
    [
        (
            "<meta name=robots content='noai, noimageai'>",
            ("robots-meta:noai", "robots-meta:noimageai"),
        ),
        ("<META NAME=Robots CONTENT='NOINDEX,follow'>", ("robots-meta:noindex",)),
        ("<meta name=robots content=all>", ()),
        ("<meta name=gptbot content=noindex>", ("robots-meta:gptbot:noindex",)),
        ("<meta name=tdm-reservation content=1>", ("tdm-reservation:1",)),
        ("<meta name=tdm-reservation content=0>", ()),
        ("<meta name=tdm-policy content='https://ex.org/p'>", ("tdm-policy:https://ex.org/p",)),
        ("<body><p>x</p><meta name=robots content=noml>", ("robots-meta:noml",)),
    ],
)
def test_meta_elements(markup: str, facts: tuple[str, ...]) -> None:
    assert extract_page(markup, URL).opt_outs == facts


@pytest.mark.parametrize(
    ("headers", "facts"),
    [
        ({"X-Robots-Tag": "noai"}, ("x-robots-tag:noai",)),
        (
            {"x-robots-tag": "otherbot: noindex, noai"},
            ("x-robots-tag:otherbot:noindex", "x-robots-tag:otherbot:noai"),
        ),
        ({"TDM-Reservation": "1"}, ("tdm-reservation:1",)),
        ({"Content-Type": "text/html"}, ()),
    ],
)
def test_headers(headers: dict[str, str], facts: tuple[str, ...]) -> None:
    assert extract_page("<p>x</p>", URL, headers).opt_outs == facts


def test_facts_survive_a_page_without_nodes() -> None:
    document = extract_page("<meta name=robots content=noai>", URL)
    assert (document.nodes, document.opt_outs) == ([], ("robots-meta:noai",))


def test_an_agent_applies_to_the_directives_that_follow_it() -> None:
    assert list(parse("NOAI, otherbot: noindex, noml")) == [
        Directive("noai"),
        Directive("noindex", "otherbot"),
        Directive("noml", "otherbot"),
    ]


def test_a_directive_with_a_value_names_no_agent() -> None:
    assert list(parse("unavailable_after: 25 Jun 2050, noai,")) == [
        Directive("unavailable_after: 25 jun 2050"),
        Directive("noai"),
    ]


def test_words_of_a_robots_tag() -> None:
    assert binding_words("noai, nofollow", response_agents("benben")) == {"noai", "nofollow"}
    assert binding_words("otherbot: noai", response_agents("benben")) == set()
