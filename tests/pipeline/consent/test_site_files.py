"""Files of an origin: bodies that can and cannot be read, reservations, licences, all together."""

from __future__ import annotations

import gzip
import json
import time
import zlib

import brotli
import pytest

from benben.pipeline.consent.site_files import (
    AI_TXT,
    ROBOTS,
    TDMREP,
    License,
    OriginConsent,
    Reservations,
    SiteFile,
    read_text,
)
from tests.web import settings

DENY = "User-agent: *\nDisallow: /\n"
PLAIN = DENY.encode()
LIMIT = 512_000
URL = "https://ex.org/img/a.png"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (PLAIN, ""),
        (PLAIN, "identity"),
        (PLAIN, "gzip"),  # a wrong label
        (PLAIN, "utf-8"),
        (gzip.compress(PLAIN, mtime=0), "gzip"),
        (gzip.compress(PLAIN, mtime=0), ""),
        (gzip.compress(PLAIN, mtime=0), "x-gzip"),
        (gzip.compress(gzip.compress(PLAIN, mtime=0), mtime=0), "gzip, gzip"),
        (gzip.compress(PLAIN[:5], mtime=0) + gzip.compress(PLAIN[5:], mtime=0), "gzip"),
        (zlib.compress(PLAIN), "deflate"),
        (zlib.compress(PLAIN)[2:-4], "deflate"),
        (brotli.compress(PLAIN), "br"),
        (b"\xef\xbb\xbf" + PLAIN, ""),
        (DENY.encode("utf-16"), ""),
        (DENY.encode("utf-16-le"), ""),
        (DENY.encode("utf-16-be"), ""),
        (DENY.encode("utf-32"), ""),
        (PLAIN + "# \xe9t\xe9\n".encode("latin-1"), ""),
    ],
)
def test_bodies_that_can_be_read(body: bytes, encoding: str) -> None:
    text, problem = read_text(body, encoding, LIMIT)
    assert problem is None
    assert text.removeprefix("\ufeff").startswith(DENY)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(PLAIN, mtime=0)[:-12], "gzip"),
        (gzip.compress(PLAIN, mtime=0)[:12] + b"garbage", "gzip"),
        (brotli.compress(PLAIN * 50)[:-5], "br"),
        (bytes(range(256)), "zstd"),
        (bytes(range(256)), "deflate"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), ""),
        (b"%PDF-1.7 ...", ""),
        (PLAIN, "a,b,c,d,e"),
    ],
)
def test_bodies_that_cannot_be_read_are_no_permission(body: bytes, encoding: str) -> None:
    text, problem = read_text(body, encoding, LIMIT)
    assert problem is not None
    answers = [SiteFile("https://ex.org", ROBOTS, 200, text, 0.0, problem)]
    found = OriginConsent(answers, settings().consent, "benben")
    assert found.reason(URL) == ("consent.unreadable", f"/robots.txt: {problem}")


def test_a_long_body_is_read_to_the_limit() -> None:
    text, problem = read_text(gzip.compress(PLAIN + bytes(2_000_000)), "gzip", LIMIT)
    assert (text[: len(DENY)], problem) == (DENY, None)
    assert len(text) <= LIMIT


@pytest.mark.parametrize(
    ("text", "reserved"),
    [
        ('[{"location": "/", "tdm-reservation": 1}]', True),
        ('{"location": "/", "tdm-reservation": 1}', True),
        ('\ufeff[{"location": "/", "tdm-reservation": true}]', True),
        ('[{"location": "/", "tdm-reservation": 1.0}]', True),
        ('[{"location": "/", "tdm-reservation": "1"}]', True),
        ('[{"Location": "/", "TDM-Reservation": 1}]', True),
        ('[{"location": "/", "tdm-reservation": 0}]', False),
        ('[{"location": "/", "tdm-reservation": 2}]', False),
        ('[{"location": "/text/", "tdm-reservation": 1}]', False),
        ('[{"location": "img/", "tdm-reservation": 1}]', True),
        ('[{"location": "/img/*.png", "tdm-reservation": 0}, {"location": "/", '
         '"tdm-reservation": 1}]', False),
        ('[{"tdm-reservation": 1}]', True),
        ('[{"location": 5, "tdm-reservation": 1}]', False),
        ("[]", False),
        ("<html>not found</html>", False),
        ("", False),
    ],
)  # fmt: skip
def test_reservations(text: str, reserved: bool) -> None:
    found = Reservations(text)
    assert found.problem is None
    assert found.reserved("/img/a.png") == reserved


@pytest.mark.parametrize(
    "text", ['[{"location": "/", "tdm-reservation": 1}', "{", "tdm-reservation: 1", "[" * 9_000]
)
def test_reservations_that_cannot_be_read(text: str) -> None:
    answers = [SiteFile("https://ex.org", TDMREP, 200, text, 0.0)]
    reason = OriginConsent(answers, settings().consent, "benben").reason(URL)
    assert reason == ("consent.unreadable", "tdmrep.json is no JSON")


def test_reservations_cost_little() -> None:
    rules = [{"location": "/" + "*a" * 60 + "$", "tdm-reservation": 1}] * 100
    started = time.process_time()
    found = Reservations(json.dumps(rules))
    for _ in range(100):
        assert not found.reserved("/" + "a" * 300 + "b")
    assert time.process_time() - started < 10
    assert Reservations(json.dumps(rules * 100)).problem is not None


def rsl(terms: str, url: str = "/", attributes: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><rsl xmlns="https://rslstandard.org/rsl">'
        f'<content url="{url}" {attributes}><license>{terms}</license></content></rsl>'
    )


FREE = '<permits type="usage">ai-train search</permits>'


@pytest.mark.parametrize(
    ("document", "permitted"),
    [
        (rsl(FREE), True),
        (rsl('<permits type="usage">all</permits><payment type="free"/>'), True),
        (rsl('<prohibits type="usage">ai-input</prohibits>'), True),
        (rsl('<prohibits type="usage">ai-train</prohibits>'), False),
        (rsl('<prohibits type="usage">ai-all</prohibits>'), False),
        (rsl('<permits type="usage">search ai-input</permits>'), False),
        (rsl('<payment type="training"><amount currency="USD">1</amount></payment>'), False),
        (rsl(FREE + '<payment type="attribution"/>'), False),
        (rsl(FREE + '<permits type="user">education</permits>'), False),
        (rsl(FREE + '<permits type="geo">US</permits>'), False),
        (rsl(FREE + '<reporting type="audit" profile="x"/>'), False),
        (rsl(FREE, attributes='server="https://l.test"'), False),
        (rsl('<prohibits type="usage">all</prohibits>', url="/text/"), True),
        (rsl('<prohibits type="usage">all</prohibits>', url="https://ex.org/img/"), False),
        (rsl(FREE).replace("</license>", "</license><license><permits type='usage'>search"
                           "</permits></license>"), True),
        (rsl(FREE).replace("</license>", "</license><license><permits type='usage'>ai-train"
                           "</permits><payment type='use'/></license>"), False),
        ("<rsl/>", False),
        ("not xml", False),
        ('<!DOCTYPE rsl [<!ENTITY a "b">]>' + rsl(FREE), False),
    ],
)  # fmt: skip
def test_licences(document: str, permitted: bool) -> None:
    assert License(document, ["free"]).permits("/img/a.png") == permitted


def test_the_most_specific_content_decides() -> None:
    both = rsl('<prohibits type="usage">all</prohibits>').replace(
        "</rsl>", f'<content url="/img/"><license>{FREE}</license></content></rsl>'
    )
    assert License(both, ["free"]).permits("/img/a.png")
    assert not License(both, ["free"]).permits("/text/a.png")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, None),
        ({ROBOTS: "User-agent: *\nAllow: /"}, None),
        ({ROBOTS: DENY}, ("consent.robots", "")),
        ({AI_TXT: "User-Agent: *\nDisallow: *.png\n"}, ("consent.ai_txt", "")),
        ({AI_TXT: "User-Agent: *\nDisallow: /\nAllow: *.png\n"}, None),
        ({ROBOTS: "License: https://ex.org/l.xml"}, ("consent.rsl", "https://ex.org/l.xml")),
        ({ROBOTS: "License: /l.xml", "https://ex.org/l.xml": rsl(FREE)}, None),
        ({ROBOTS: "Content-Usage: train-ai=n"}, ("consent.content_usage", "train-ai=n")),
        ({ROBOTS: "Content-Signal: ai-train=no"}, ("consent.content_signal", "ai-train=no")),
        ({ROBOTS: "DisallowAITraining: /"}, ("consent.ai_training", "DisallowAITraining")),
        ({ROBOTS: "User-agent: *\nDisallow: /" + "*x" * 20_000},
         ("consent.unreadable", "/robots.txt: too many wildcards")),
        ({TDMREP: '{"location": "/", "tdm-reservation": 1}'}, ("consent.tdm", TDMREP)),
    ],
)  # fmt: skip
def test_all_files_of_an_origin(files: dict[str, str], reason: tuple[str, str] | None) -> None:
    answers = [SiteFile("https://ex.org", path, 200, text, 0.0) for path, text in files.items()]
    assert OriginConsent(answers, settings().consent, "benben").reason(URL) == reason


@pytest.mark.parametrize("status", [None, 429, 500, 503])
def test_an_unreachable_robots_txt_disallows_all(status: int | None) -> None:
    answers = [SiteFile("https://ex.org", ROBOTS, status, "", 0.0)]
    reason = OriginConsent(answers, settings().consent, "benben").reason(URL)
    assert reason == ("consent.robots_unreachable", "")


@pytest.mark.parametrize(
    ("user_agent", "product", "token"),
    [
        ("acme/2 (a@b.test)", "", "acme"),
        ("Mozilla/5.0 (compatible; acmebot/1; a@b.test)", "acmebot", "acmebot"),
        ("Mozilla/5.0 (compatible; acmebot/1; a@b.test)", "", None),
        ("acme/2 (a@b.test)", "other", None),
        ("(a@b.test)", "", None),
    ],
)
def test_the_product_token(user_agent: str, product: str, token: str | None) -> None:
    keys = (f"user_agent='{user_agent}'", f"product='{product}'")
    if token is None:
        with pytest.raises(Exception, match="product"):
            settings(*keys)
    else:
        assert settings(*keys).product == token
