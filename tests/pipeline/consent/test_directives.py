"""Robots directives and TDM reservations as pages and servers write them."""

from __future__ import annotations

import pytest

from benben import extract_page
from benben.pipeline.archive.http_response import parse_headers
from benben.pipeline.consent.directives import (
    Directive,
    from_headers,
    is_named,
    is_reserved,
    license_links,
    parse,
    signal_refusal,
    usage_refusal,
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
        ("<meta http-equiv=X-Robots-Tag content=noai>", ("x-robots-tag:noai",)),
        ("<meta name='google-extended' content=noai>", ("robots-meta:google-extended:noai",)),
        ("<meta name=content-usage content='train-ai=n'>", ("content-usage:train-ai=n",)),
        ("<meta http-equiv=Content-Signal content='ai-train=no'>", ("content-signal:ai-train=no",)),
        ("<meta name='tdm:reservation' content=1>", ("tdm-reservation:1",)),
        (
            "<link rel=license type=application/rsl+xml href=https://ex.org/l.xml>",
            ("rsl:https://ex.org/l.xml",),
        ),
        ("<link rel=license href=https://ex.org/by>", ()),
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


@pytest.mark.parametrize(
    ("value", "directives"),
    [
        ("NOAI, otherbot: noindex, noml", ["noai", "otherbot:noindex", "otherbot:noml"]),
        ("noai noimageai", ["noai", "noimageai"]),
        ("max-snippet:-1, max-image-preview:large, max-video-preview:-1, noai", ["noai"]),
        ("max-image-preview:none, index", []),
        ("max-image-preview: none, none", ["none"]),
        ("unavailable_after: 25 Jun 2050, noai,", ["noai"]),
        ("unavailable_after: Sat, 25 Jun 2050 15:00:00 +0200, noai", ["noai"]),
        ("unavailable_after: Saturday, 25-Jun-50 15:00:00 PST noml", ["noml"]),
        ("unavailable_after: 2050-06-25T15:00:00+01:00, noindex", ["noindex"]),
        ("new-limit:3, noai", ["noai"]),
        ("new-limit:none, noai", ["none", "noai"]),
        ("new-limit: large noai", ["noai"]),
        ("otherbot: nofollow, benben/2.1: noai", ["benben/2.1:noai"]),
        ("*: noai", ["noai"]),
        ("robots: noai", ["noai"]),
        ("noindex\uff0cnoai\u3001noml", ["noindex", "noai", "noml"]),
        ("noai; noml", ["noai", "noml"]),
        ("'noai'", ["noai"]),
        ("noai=true", ["noai"]),
        ("noainot", []),
        (":,::; =", []),
    ],
)
def test_directives_of_a_value(value: str, directives: list[str]) -> None:
    found = [d for d in parse(value) if d.text in ("noai", "noimageai", "noml", "noindex", "none")]
    assert [f"{d.agent}:{d.text}" if d.agent else d.text for d in found] == directives


def test_each_header_line_counts_by_itself() -> None:
    robots = b"X-Robots-Tag: otherbot: noindex\r\nX-Robots-Tag: noai\r\n"
    reserved = b"TDM-Reservation: 0\r\ntdm-reservation: 1\r\n"
    headers = parse_headers(b"HTTP/1.1 200 OK\r\n" + robots + reserved)
    assert from_headers(headers) == [
        "x-robots-tag:otherbot:noindex",
        "x-robots-tag:noai",
        "tdm-reservation:1",
    ]
    assert headers["x-robots-tag"] == "otherbot: noindex, noai"


@pytest.mark.parametrize(
    ("line", "named"),
    [("CCBot", True), ("ccbot/2.0", True), ("CCBot 2", True), ("CCBot2", True), ("CCBots", False),
     ("CCBot-Image", False), ("CCBot_x", False), ("xCCBot", False), ("", False)],
)  # fmt: skip
def test_a_name_is_that_of_an_agent(line: str, named: bool) -> None:
    assert is_named(line, "CCBot") == named


def test_reservations() -> None:
    assert all(map(is_reserved, (1, True, 1.0, "1", " 1 ", "TRUE", "1.0", "0, 1", '"1"')))
    assert not any(map(is_reserved, (0, False, None, "0", "", 2, [], {}, "no", "10")))


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        ("train-ai=n", "train-ai=n"),
        ("search=y, train-ai=n;why=x", "train-ai=n"),
        ("train-ai=y", None),
        ("search=n", None),
        ("train-ai=n, train-ai=y", None),
        ("train-ai;allow=n, train-ai=y", None),
        ("TRAIN-AI = N", "train-ai=n"),
        ("search=y train-ai=n", "train-ai=n"),
        ("train-genai=n", "train-genai=n"),
        ("bots=n", "bots=n"),
        ("bots=n, train-ai=y", None),
        ("train-ai", None),
        ("", None),
        (",,=;=,", None),
    ],
)
def test_content_usage(value: str, refusal: str | None) -> None:
    assert usage_refusal(value) == refusal


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        ("search=yes,ai-train=no", "ai-train=no"),
        ("search=yes, ai-train=yes, ai-input=no", None),
        ("ai-train=no;search=yes", "ai-train=no"),
        ("AI-Train=No", "ai-train=no"),
        ("use=reference", "use=reference"),
        ("use=immediate, ai-train=yes", "use=immediate"),
        ("use=full", None),
        ("search=no", None),
    ],
)
def test_content_signal(value: str, refusal: str | None) -> None:
    assert signal_refusal(value) == refusal


def test_links_to_licences() -> None:
    rsl = '</a.xml>; rel="license"; type="application/rsl+xml"'
    assert license_links(rsl) == ["/a.xml"]
    assert license_links(f"</n>; rel=next, {rsl}, </b>; rel=license") == ["/a.xml"]
    assert license_links("</b>; rel=license") == []


def test_directive_holds_its_agent() -> None:
    assert list(parse("otherbot: noml")) == [Directive("noml", "otherbot")]
