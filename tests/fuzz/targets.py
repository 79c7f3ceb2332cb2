"""The parsers of bytes from strangers, as fuzz targets: seeds, and what is done with an input.

A target may refuse an input in the way its users expect; any other exception is a fault. It returns
a text that must be the same for the same input.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from PIL import Image

from benben import extract_page
from benben.pipeline import config
from benben.pipeline.archive.http_response import PayloadError, decode_body, parse_response
from benben.pipeline.archive.warc import read_captures_of
from benben.pipeline.consent import directives
from benben.pipeline.consent.image_consent import header_reason
from benben.pipeline.consent.picture_metadata import metadata_refusal
from benben.pipeline.consent.site_files import (
    AI_TXT,
    ROBOTS,
    TDMREP,
    License,
    OriginConsent,
    SiteFile,
    read_text,
)
from benben.pipeline.errors import UserError
from benben.pipeline.images.fetch.resolver import Refused, check_url
from benben.pipeline.images.processing.picture import Decoder
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.storage.ranges import Bytes
from benben.pipeline.storage.retrying import retry_after_seconds
from tests.pipeline.archive.archive_makers import members, warc_record


@dataclass(frozen=True)
class Target:
    """One parser."""

    run: Callable[[bytes], str]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...] = ()  # what its inputs are made of
    found: tuple[bytes, ...] = ()  # inputs that once failed


@cache
def _fetch() -> FetchSettings:
    return config.load("default", ["input=[x]"]).fetch


def _page(data: bytes) -> str:
    page = extract_page(data, "http://a.example/")
    texts = [(node.kind, node.text, node.url) for node in page.nodes]
    return repr((page.reason, page.title, page.lang, page.opt_outs, texts))


def _warc(data: bytes) -> str:
    found = read_captures_of(Bytes(data, "x.warc", 0), 0, len(data), 1 << 20)
    return repr([(one.reason, one.offset, getattr(one, "payload", b"")[:99]) for one in found])


def _response(data: bytes) -> str:
    message = parse_response(data)
    try:
        body = decode_body(data[message.body_at :], message.headers, 1 << 20)
    except PayloadError as error:
        return error.reason
    return repr((message.status, header_reason(message.headers, _fetch().consent, "benben"), body))


def _site_file(path: str, data: bytes) -> str:
    text, problem = read_text(data, "utf-8", 512_000)
    answer = SiteFile("http://a.example", path, 200, text, 0.0, problem)
    consent = OriginConsent([answer], _fetch().consent, "benben")
    addresses = ("http://a.example/", "http://a.example/a/b.png?c=d*$")
    reasons = [consent.reason(address) for address in addresses]
    return repr((reasons, consent.crawl_delay, consent.license_urls("http://a.example")))


def _robots(data: bytes) -> str:
    return _site_file(ROBOTS, data) + _site_file(AI_TXT, data)


def _tdmrep(data: bytes) -> str:
    return _site_file(TDMREP, data)


def _license(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return repr([License(text, ["free"]).permits(path) for path in ("/", "/a/b.png?c=d")])


def _directives(data: bytes) -> str:
    value = data.decode("latin-1")
    headers = {"X-Robots-Tag": value, "tdm-reservation": value, "tdm-policy": value}
    facts = [*directives.from_headers(headers), *directives.from_meta("robots", value)]
    facts += directives.from_meta("gptbot", value)
    return repr((facts, header_reason(headers, _fetch().consent, "benben")))


def _picture(data: bytes) -> str:
    return repr((Decoder(_fetch()).decode(data), metadata_refusal(data)))


def _url(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    try:
        return str(check_url(text, 4096)) + str(retry_after_seconds(text) is None)
    except Refused as refused:
        return str(refused.reason) + str(retry_after_seconds(text) is None)


def _config(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    try:
        return config.load("default", ["input=[x]", text]).model_dump_json()
    except UserError as error:
        return str(error)


def _pictures() -> list[bytes]:
    made = []
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP"):
        out = io.BytesIO()
        Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(out, kind)
        made.append(out.getvalue())
    return made


HTML = b"""<!doctype html><html lang=en><head><title>Owls</title><base href=/a/>
<meta name=robots content=noai></head><body><div class="a b" style="background:url(x.png)">
<h1>Owls</h1><p>The <b>barn owl</b> hunts &amp; sleeps.<img src=a.png alt="An owl"
srcset="b.png 2x, c.png 100w"><table><tr><td>1<td>2</table><pre> x
 y</pre><ul><li>one<li>two</ul><!-- no -->
<script type="application/ld+json">{"a":[1]}</script></div>"""
ROBOTS_TXT = b"User-agent: *\nDisallow: /a*b$\nAllow: /c\nCrawl-delay: 2\nRequest-rate: 1/5s\n# x\n"
RSL = b"""<?xml version="1.0"?><rsl xmlns="https://rslstandard.org/rsl"><content url="/a*">
<license><permits type="usage">all</permits><prohibits type="geo">x</prohibits>
<payment type="free"/></license></content></rsl>"""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nX-Robots-Tag: a: noai\r\n\r\n"
TAGS = (b"<div>", b"</div>", b"<p>", b"<b x=1>", b"<table>", b"<svg>", b"<script>", b"<!--")

TARGETS = {
    "html": Target(_page, lambda: [HTML], TAGS, (b"<title>" * 300_000, b"<a><div></a>" * 9_000)),
    "warc": Target(
        _warc,
        lambda: [
            b"".join(members([warc_record(f"http://a.example/{n}", HTML) for n in range(3)])),
            b"".join(warc_record(f"http://a.example/{n}", HTML) for n in range(3)),
        ],
        (b"WARC/1.0\r\n", b"Content-Length: ", b"\x1f\x8b\x08", b"\r\n\r\n"),
    ),
    "response": Target(
        _response,
        lambda: [HEAD + HTML],
        (b"Content-Encoding: gzip\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n"),
    ),
    "robots": Target(
        _robots,
        lambda: [ROBOTS_TXT],
        (b"User-agent: ", b"Disallow: /", b"*", b"$", b"\xe2\x80\xa8"),
        (b"User-agent: *\nCrawl-delay: nan\n",),
    ),
    "tdmrep": Target(
        _tdmrep,
        lambda: [b'[{"location": "/a*b$", "tdm-reservation": 1, "tdm-policy": "http://a/"}]'],
        (b"{", b"[", b'"location":', b"*", b"1e999", b'"\\ud800"'),
    ),
    "license": Target(
        _license,
        lambda: [RSL],
        (b"<content url='/a'>", b"<license>", b"<!ENTITY a 'b'>", b"&a;", b"xmlns='a'", b"]]>"),
    ),
    "directives": Target(
        _directives,
        lambda: [b"noai, otherbot: noindex, max-snippet: 0, unavailable_after: 1 Jan", b"1"],
        (b",", b":", b"none", b"gptbot"),
    ),
    "picture": Target(_picture, _pictures, (b"\xff\xda", b"IDAT", b"ispe", bytes(4), b"\xff" * 4)),
    "url": Target(
        _url,
        lambda: [b"http://a.example:80/b/c.png?d=e#f", b"Fri, 31 Dec 1999 23:59:59 GMT", b"120"],
        (b"%", b"://", b"@", b"[::1]", b"\\", "\u00b2".encode()),
        ("\u00b2".encode(), b"1 Jan 2026 00:00 +" + b"9" * 30, b"120\x1f"),
    ),
    "config": Target(
        _config,
        lambda: [b"fetch.hosts=3", b"rules.document.images={min: 2}", b"fetch.limits.pixels=[1,2"],
        (b"=", b".", b"{", b"&a", b"*a", b"!!python/object:", b"1e9"),
    ),
}


def mutated(target: Target, seed: int) -> bytes:
    """An input made from a target's seeds by up to eight changes; the same for the same seed."""
    chance = random.Random(seed)
    seeds = _seeds(target)
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 2, 8, 64)))
        kind = chance.randrange(7)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at:end] = b""
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.choice((1, 4, 16)))
        elif kind == 3:
            data[at:at] = bytes(data[at:end]) * chance.choice((1, 3, 50))
        elif kind == 4 and target.words:
            data[at:at] = chance.choice(target.words) * chance.choice((1, 1, 2, 40))
        elif kind == 5:
            data[at:end] = chance.choice((b"\0", b"\xff", b"9")) * (end - at)
        else:
            other = chance.choice(seeds)
            place = chance.randrange(len(other) + 1)
            data[at:] = other[place:]
    return bytes(data)


@cache
def _seeds(target: Target) -> list[bytes]:
    return target.seeds()
