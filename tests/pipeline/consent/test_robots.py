"""robots.txt: groups, product tokens, paths, statements about use."""

from __future__ import annotations

import time

import pytest

from benben.pipeline.consent.robots import MAX_WILDCARDS, RobotsText, normal_path, path_of

URL = "https://ex.org/img/a%20b.png?x=1"


def robots(text: str, *agents: str) -> RobotsText:
    return RobotsText(text, "benben", agents or ("CCBot", "GPTBot", "img2dataset"))


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("User-agent: *\nDisallow: /", False),
        ("user-agent:*\ndisallow:/", False),
        ("User-agent: * # all\nDisallow: / # nothing", False),
        ("User-agent: benben/0.1 (+https://ex.org)\nDisallow: /", False),
        ("User-agent: Ben\nDisallow: /", True),
        ("User-agent: benben-images\nDisallow: /", True),
        ("User-agent: CCBot/2.0\nDisallow: /", False),
        ("User-agent: Mozilla/5.0 (compatible; GPTBot/1.1; +https://x)\nDisallow: /", False),
        ("User-agent: a\nUser-agent: ccbot\nUser-agent: b\nDisallow: /", False),
        ("User-agent: CCBot\nDisallow: /x\n\nUser-agent: CCBot\nDisallow: /img", False),
        ("User-agent: CCBot\nSitemap: /s.xml\nUser-agent: a\nDisallow: /", False),
        ("User-agent: *\nDisallow: /tmp\r\rUser-agent: CCBot\rDisallow: /\r", False),
        ("User-agent: *\r\nDisallow: /\r\n", False),
        ("\ufeffUser-agent : CCBot\n Disallow : /", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: benben\nAllow: /", True),
        ("User-agent: *\nDisallow: /\n\nUser-agent: benben\nDisallow:", True),
        ("User-agent: benben\nAllow: /\n\nUser-agent: CCBot\nDisallow: /", False),
        ("User-agent: CCBot\nAllow: /\n\nUser-agent: *\nDisallow: /", False),
        ("User-agent: *\nDisallow: /\nAllow: /img/", True),
        ("User-agent: *\nDisallow: /img/\nAllow: /img/", True),
        ("User-agent: *\nAllow: /img\nDisallow: /img/a", False),
        ("User-agent: *\nDisallow: /*.png", False),
        ("User-agent: *\nDisallow: /*.png$", True),  # the address has a query
        ("User-agent: *\nDisallow: /*.png?x=1$", False),
        ("User-agent: *\nDisallow: *.png", False),
        ("User-agent: *\nDisallow: img", False),
        ("User-agent: *\nDisallow: /Img", True),
        ("User-agent: *\nDisallow: /img/a%20b", False),
        ("User-agent: *\nDisallow: /%69mg/", False),
        ("User-agent: *\nDisallow: https://ex.org/img/", False),
        ("User-agent: *\ndissallow: /", False),
        ("useragent: *\nDisallow /", False),
        ("Disallow: /", True),  # in no group
        ("User-agent: *\nNoise: x\nDisallow: /\nMore noise", False),
        ("User-agent: *\nCrawl-delay: 1\nUser-agent: a\nDisallow: /", False),
        ("<html>Not found</html>", True),
        ("", True),
    ],
)
def test_what_may_be_requested(text: str, allowed: bool) -> None:
    assert robots(text).allows(path_of(URL)) == allowed


@pytest.mark.parametrize(
    ("text", "refusals"),
    [
        ("User-agent: *\nContent-Usage: train-ai=n\nAllow: /", ["train-ai=n"]),
        ("User-agent: *\nContent-Usage: /img/ train-ai=n", ["train-ai=n"]),
        ("User-agent: *\nContent-Usage: /text/ train-ai=n", []),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /img/ train-ai=y", []),
        ("User-agent: *\nContent-Usage: /img train-ai=y\nContent-Usage: /img train-ai=n",
         ["train-ai=n"]),
        ("User-agent: a\nContent-Usage: train-ai=n\nAllow: /", []),
        ("User-agent: a\nAllow: /\n\nContent-Usage: train-ai=n", ["train-ai=n"]),
        ("Content-Signal: ai-train=no", ["ai-train=no"]),
        ("User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /", ["ai-train=no"]),
        ("User-agent: *\nContent-signal: /img/ use=reference", ["use=reference"]),
        ("User-agent: benben\nAllow: /\n\nUser-agent: *\nContent-Signal: ai-train=no", []),
        ("User-agent: GPTBot\nContent-Signal: ai-train=no", ["ai-train=no"]),
        ("User-agent: *\nDisallowAITraining: /", ["DisallowAITraining"]),
        ("User-agent: *\nDisallowAITraining: /img/\nAllow: /", ["DisallowAITraining"]),
        ("User-agent: *\nDisallowAITraining: /\nAllowAITraining: /img/", []),
        ("User-agent: *\nDisallowAITraining:", []),
    ],
)  # fmt: skip
def test_statements_about_use(text: str, refusals: list[str]) -> None:
    assert [statement for _, statement in robots(text).usage_refusals(path_of(URL))] == refusals


@pytest.mark.parametrize(
    ("text", "licenses"),
    [
        ("License: /l.xml\nUser-agent: *\nAllow: /", ["/l.xml"]),
        ("User-agent: *\nAllow: /\nLicense: /a.xml\n\nUser-agent: x\nLicense: /b.xml", ["/a.xml"]),
        ("License: /g.xml\nUser-agent: *\nLicense: /a.xml", ["/a.xml"]),
        ("User-agent: x\nDisallow: /\n\nLicense: /l.xml", ["/l.xml"]),
        ("User-agent: x\nDisallow: /\nLicense: /l.xml", []),
    ],
)
def test_licences(text: str, licenses: list[str]) -> None:
    assert robots(text).licenses == licenses


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [("Crawl-delay: 2\nRequest-rate: 1/5", 5), ("Crawl-delay: 1.5", 1.5), ("Crawl-delay: x", 0),
     ("Request-rate: 0/5", 0), ("Request-rate: 1/2m", 120), ("Crawl-delay:", 0),
     ("Crawl-delay: nan", 0), ("Crawl-delay: -3", 0)],
)  # fmt: skip
def test_delay(lines: str, seconds: float) -> None:
    assert robots(f"User-agent: *\n{lines}").delay == seconds


@pytest.mark.parametrize(
    ("written", "normal"),
    [("/a%7Eb", "/a~b"), ("/a%2fb", "/a%2Fb"), ("/\u30c4", "/%E3%83%84"), ("/%", "/%"),
     ("/%zz", "/%zz")],
)  # fmt: skip
def test_percent_encoding(written: str, normal: str) -> None:
    assert normal_path(written) == normal


def test_escaped_wildcards_are_literal() -> None:
    text = "User-agent: *\nDisallow: /file-with-a-%2A.html\nDisallow: /foo-%24"
    assert not robots(text).allows(path_of("https://ex.org/file-with-a-*.html"))
    assert not robots(text).allows(path_of("https://ex.org/foo-$"))
    assert robots(text).allows(path_of("https://ex.org/file-with-a-b.html"))


def test_many_rules_cost_little_and_too_many_wildcards_are_noted() -> None:
    rules = "\n".join(f"Disallow: /{number:x}/" for number in range(40_000))
    named = "\n".join(f"User-agent: bot{number}" for number in range(30_000))
    started = time.process_time()
    found = robots(f"{named}\nUser-agent: *\n{rules}")
    for number in range(1_000):
        assert found.allows(f"/z{number}" + "/" * 2_000)
    slow = robots("User-agent: *\nDisallow: /" + "*a" * 5_000 + "b$")
    for _ in range(20):
        assert slow.allows("/" + "a" * 4_000)
    assert time.process_time() - started < 20
    assert robots("User-agent: *\nDisallow: /" + "*a" * (MAX_WILDCARDS + 1)).too_many
