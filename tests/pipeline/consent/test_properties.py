"""Whatever a site writes never raises, and what it adds that we do not know permits nothing."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from benben.pipeline.consent import directives
from benben.pipeline.consent.image_consent import HeaderVerdicts, header_reason
from benben.pipeline.consent.picture_metadata import metadata_refusal
from benben.pipeline.consent.robots import normal_path, path_of
from benben.pipeline.consent.site_files import (
    AI_TXT,
    ROBOTS,
    TDMREP,
    License,
    OriginConsent,
    SiteFile,
    read_text,
)
from tests.pipeline.consent.forms import FORMS, Form
from tests.web import settings

CHOSEN = settings()
VERDICTS = HeaderVerdicts(CHOSEN.consent, "benben")
URL = "https://ex.org/img/a.png?x=*$"
IMAGE = "https://ex.org/img/a.png"
WORDS = st.sampled_from(
    ["User-agent", ":", " ", "*", "benben", "/", "Disallow", "Allow", "\n", "\r", "$", "%", "#",
     "Content-Usage", "train-ai=n", "Content-Signal", "ai-train=no", "License", "Crawl-delay", "9",
     "noai", ",", ";", "=", "tdm-reservation", "1", "[", "{", '"location"', "<rsl>", "\ufeff"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=60).map("".join))
# Lines that no specification of ours knows: they have a key of their own, or no colon.
UNKNOWN = st.from_regex(r"\A(x-[a-z]{1,9}: [a-zA-Z0-9/*$=,_-]{0,20}|#[a-zA-Z0-9 ]{0,20})\Z")


def reason(path: str, text: str, url: str = IMAGE) -> str | None:
    """Why a file refuses an address."""
    answer = SiteFile("https://ex.org", path, 200, text, 0.0)
    found = OriginConsent([answer], CHOSEN.consent, "benben").reason(url)
    return found[0] if found else None


@given(TEXTS, st.sampled_from([ROBOTS, AI_TXT, TDMREP, "https://ex.org/l.xml"]))
def test_no_text_of_a_site_raises(text: str, path: str) -> None:
    reason(path, text, URL)
    License(text, ["free"]).permits("/")


PARTS = st.text("ab/?#%:@.[]*$\xe9", max_size=12)


@given(st.sampled_from(["http://ex.org", "https://u@ex.org:8080", "ftp://ex.org"]), PARTS)
def test_a_path_is_what_a_url_parser_takes_for_it(base: str, rest: str) -> None:
    url = f"{base}/{rest}"
    parts = urlsplit(url)
    whole = parts.path + (f"?{parts.query}" if parts.query else "")
    assert path_of(url) == normal_path(whole).replace("*", "%2A").replace("$", "%24")


@given(TEXTS, st.sampled_from(directives.HEADERS))
def test_a_verdict_that_is_remembered_is_the_verdict(value: str, name: str) -> None:
    said = directives.statements({name: value})
    found = VERDICTS.reason(said)
    assert found == VERDICTS.reason(said)
    assert found == header_reason(directives.Statements(said), CHOSEN.consent, "benben")


@given(st.binary(max_size=300), st.text(max_size=20))
def test_no_body_raises(body: bytes, encoding: str) -> None:
    text, problem = read_text(body, encoding, 512_000)
    assert isinstance(text, str)
    assert problem is None or text == ""
    metadata_refusal(body)


@given(TEXTS, st.sampled_from([*directives.HEADERS, "robots", "gptbot", "description"]))
def test_no_header_and_no_markup_raises(value: str, name: str) -> None:
    directives.from_headers({name: value})
    facts = directives.from_meta(name, value)
    assert all(isinstance(fact, str) for fact in facts)
    list(directives.binding_facts(facts, CHOSEN.consent, ["benben"]))


PLAIN = [form for form in FORMS["robots"] + FORMS["usage"]
         if form.files.get(ROBOTS, (0, {}, b""))[:2] == (200, {})]  # fmt: skip
REFUSALS = [form for form in PLAIN if form.verdict
            and form.files[ROBOTS][2].replace(b"\0", b"\xff").isascii()]  # fmt: skip


@given(st.sampled_from(REFUSALS), st.lists(st.tuples(UNKNOWN, st.integers(0, 40)), max_size=6))
def test_unknown_lines_permit_nothing(form: Form, added: list[tuple[str, int]]) -> None:
    text = form.files[ROBOTS][2].decode()
    end = "\r" if "\n" not in text else "\n"
    lines = text.split(end)
    assert reason(ROBOTS, text) is not None
    for line, place in added:
        lines.insert(place % (len(lines) + 1), line)
    assert reason(ROBOTS, end.join(lines)) is not None


REFUSING_WORDS = st.sampled_from(["noai", "NOINDEX", "noml", "none", "benben: noai", "*: noai"])
UNKNOWN_WORDS = st.from_regex(r"\A[b-y]{2,6}x(:[a-z0-9-]{0,6})?\Z").filter(
    lambda word: not directives.CRAWLER.search(word)
)


@given(REFUSING_WORDS, st.lists(UNKNOWN_WORDS, max_size=4), st.lists(UNKNOWN_WORDS, max_size=4))
def test_unknown_directives_permit_nothing(word: str, before: list[str], after: list[str]) -> None:
    for join in (", ", ",", " ", "; "):
        headers = {"X-Robots-Tag": join.join([*before, word, *after])}
        facts = directives.from_headers(headers)
        assert list(directives.binding_facts(facts, CHOSEN.consent, ["benben"])), headers


@given(st.dictionaries(st.text(max_size=8), st.integers(), max_size=4),
       st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=5)), max_size=3))  # fmt: skip
def test_unknown_members_of_a_reservation_permit_nothing(
    members: dict[str, int], others: list[object]
) -> None:
    known = {"location", "tdm-reservation"}
    unknown = {k: v for k, v in members.items() if _name(k) not in known}
    rule = {**unknown, "location": "/img/", "tdm-reservation": 1}
    assert reason(TDMREP, json.dumps([*others, rule])) == "consent.tdm"


def _name(key: str) -> str:
    return key.strip().lower().replace("_", "-").replace(":", "-")
