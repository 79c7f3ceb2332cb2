"""Opt-outs are checked before an image is requested, and each has its own reason."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from yarl import URL

from benben.pipeline.consent.image_consent import OptOutLists, page_reason
from benben.pipeline.errors import InputError
from benben.pipeline.images.fetch.request import Outcome
from tests.pipeline.images.fetching import fetch_all
from tests.web import Handler, Route, Web, picture, serving, settings

ROBOTS, TDM = "/robots.txt", "/.well-known/tdmrep.json"
DENY = b"User-agent: *\nDisallow: /\n"
IMAGE = (200, {"Content-Type": "image/png"}, picture())


def ask(
    routes: dict[str, Route], *overrides: str, paths: tuple[str, ...] = ("/a.png",)
) -> tuple[list[Outcome], Web]:
    """Fetch paths of a server with these routes; every other path is a picture."""
    with serving({"*": IMAGE, ROBOTS: 404, TDM: 404, "/ai.txt": 404, **routes}) as web:
        chosen = settings(*overrides, allow=(f"127.0.0.1:{web.port}",))
        return fetch_all([web.url(path) for path in paths], chosen), web


def test_without_any_opt_out_the_image_is_fetched() -> None:
    (outcome,), web = ask({})
    assert outcome.reason is None
    assert web.paths() == ["/a.png"]


@pytest.mark.parametrize(
    ("robots", "allowed"),
    [
        (DENY, False),
        (b"User-agent: benben\nDisallow: /\n", False),
        (b"user-agent: BENBEN\ndisallow: /\n", False),
        (b"User-agent: *\nDisallow: /\n\nUser-agent: benben\nAllow: /\n", True),
        (b"User-agent: otherbot\nDisallow: /\n", True),
        (b"User-agent: *\nDisallow: /*.png$\n", False),
        (b"User-agent: *\nDisallow: /a\nAllow: /a.png\n", True),
        (b"User-agent: *\nAllow: /\nDisallow: /a.p\n", False),
        (b"User-agent: *\nDisallow:\n", True),
        (b"\xef\xbb\xbfUser-agent: *\r\nDisallow: /\r\n", False),
        (b"User-agent: CCBot\nDisallow: /\n", False),
        (b"User-agent: GPTBot/1.0\nDisallow: /\n", False),
        (b"User-agent: img2dataset\nDisallow: /\n", False),
        (b"", True),
        (b"\x00\xff garbage \xfe\n\nUser-agent *\n<html>", True),
        (gzip.compress(DENY, mtime=0), False),  # a .gz file under this name
    ],
)
def test_robots_rules(robots: bytes, allowed: bool) -> None:
    (outcome,), web = ask({ROBOTS: robots})
    assert outcome.reason == (None if allowed else "consent.robots")
    assert web.paths() == (["/a.png"] if allowed else [])


def test_robots_served_with_gzip_encoding_is_read() -> None:
    packed = (200, {"Content-Encoding": "gzip"}, gzip.compress(DENY))
    (outcome,), web = ask({ROBOTS: packed})
    assert outcome.reason == "consent.robots"
    assert web.paths() == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_robots_unavailable_means_no_restriction(status: int) -> None:
    (outcome,), _ = ask({ROBOTS: status})
    assert outcome.reason is None


@pytest.mark.parametrize("status", [429, 500, 503])
def test_robots_unreachable_means_complete_disallow(status: int) -> None:
    (outcome,), web = ask({ROBOTS: status})
    assert outcome.reason == "consent.robots_unreachable"
    assert outcome.retryable
    assert web.paths() == []


def test_robots_that_hangs_means_complete_disallow() -> None:
    started = time.monotonic()
    (outcome,), web = ask({ROBOTS: lambda handler: time.sleep(3)}, "limits.seconds=1")
    assert outcome.reason == "consent.robots_unreachable"
    assert web.paths() == []
    assert time.monotonic() - started < 8


def test_robots_sent_byte_by_byte_ends_at_the_time_limit() -> None:
    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b"#")
            time.sleep(0.1)

    (outcome,), _ = ask({ROBOTS: drip}, "limits.seconds=1")
    assert outcome.reason == "consent.robots_unreachable"


def test_robots_of_ten_megabytes_is_read_to_its_limit() -> None:
    filler = b"# nothing\n" * 1_000_000
    (outcome,), _ = ask({ROBOTS: DENY + filler})
    assert outcome.reason == "consent.robots"
    (outcome,), _ = ask({ROBOTS: filler + DENY})
    assert outcome.reason is None


def test_robots_gzip_bomb_is_read_to_its_limit() -> None:
    (outcome,), _ = ask({ROBOTS: gzip.compress(DENY + bytes(200_000_000))})
    assert outcome.reason == "consent.robots"


def test_robots_redirects_are_followed_five_times() -> None:
    routes: dict[str, Route] = {
        f"/r{step}": (301, {"Location": f"/r{step + 1}"}, b"") for step in range(1, 9)
    }
    (outcome,), _ = ask({**routes, ROBOTS: (302, {"Location": "/r4"}, b""), "/r8": DENY})
    assert outcome.reason == "consent.robots"
    (outcome,), _ = ask({**routes, ROBOTS: (302, {"Location": "/r1"}, b""), "/r8": DENY})
    assert outcome.reason is None


def test_site_files_are_requested_once() -> None:
    paths = tuple(f"/{number}.png" for number in range(20))
    outcomes, web = ask({}, paths=paths)
    assert [outcome.reason for outcome in outcomes] == [None] * 20
    assert (web.count(ROBOTS), web.count(TDM), web.count("/ai.txt")) == (1, 1, 1)


def test_own_user_agent_with_contact_is_sent_everywhere() -> None:
    _, web = ask({})
    agents = {seen.headers["User-Agent"] for seen in web.seen}
    assert len(web.seen) == 4
    assert all("benben" in agent and "http" in agent for agent in agents)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([{"location": "/", "tdm-reservation": 1}], "consent.tdm"),
        ([{"location": "/b/", "tdm-reservation": 1}], None),
        ([{"location": "/*.png$", "tdm-reservation": 1}], "consent.tdm"),
        (
            [
                {"location": "/a.png", "tdm-reservation": 0},
                {"location": "/", "tdm-reservation": 1},
            ],
            None,
        ),
        ([{"location": "/", "tdm-reservation": "1"}], "consent.tdm"),
        ("nonsense", None),
        ([{"location": 5}, 7, None], None),
    ],
)
def test_tdm_reservation_file(rules: object, reason: str | None) -> None:
    (outcome,), web = ask({TDM: json.dumps(rules).encode()})
    assert outcome.reason == reason
    assert web.paths() == ([] if reason else ["/a.png"])


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-Robots-Tag": "noai"}, "consent.x_robots_tag"),
        ({"X-Robots-Tag": "nofollow, NoImageAI"}, "consent.x_robots_tag"),
        ({"x-robots-tag": "noml"}, "consent.x_robots_tag"),
        ({"X-Robots-Tag": "none"}, "consent.x_robots_tag"),
        ({"X-Robots-Tag": "benben: noai"}, "consent.x_robots_tag"),
        ({"X-Robots-Tag": "googlebot: noindex, noai"}, None),
        (
            {"X-Robots-Tag": "unavailable_after: 25 Jun 2050 15:00:00 PST, noindex"},
            "consent.x_robots_tag",
        ),
        ({"X-Robots-Tag": "nofollow"}, None),
        ({"TDM-Reservation": "1"}, "consent.tdm"),
        ({"TDM-Reservation": "0"}, None),
        ({"X-Robots-Tag": "CCBot: noai"}, "consent.x_robots_tag"),
        ({"X-Robots-Tag": "GPTBot/1.1: noindex"}, "consent.x_robots_tag"),
        ({"Content-Usage": "train-ai=n"}, "consent.content_usage"),
        ({"Content-Signal": "ai-train=no"}, "consent.content_signal"),
        ({"Link": '</l.xml>; rel="license"; type="application/rsl+xml"'}, "consent.rsl"),
    ],
)
def test_response_headers(headers: dict[str, str], reason: str | None) -> None:
    (outcome,), _ = ask({"/a.png": (200, headers, picture())})
    assert outcome.reason == reason
    assert (outcome.data is None) == (reason is not None)


def test_body_of_an_image_that_opts_out_is_not_read() -> None:
    sent = []

    def opt_out(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("X-Robots-Tag", "noai")
        handler.send_header("Content-Length", str(50 << 20))
        handler.end_headers()
        for _ in range(50):
            handler.wfile.write(bytes(1 << 20))
            sent.append(1)

    (outcome,), _ = ask({"/a.png": opt_out}, "limits.bytes=100000000")
    assert outcome.reason == "consent.x_robots_tag"
    assert len(sent) < 40  # what the sockets' buffers took


@pytest.mark.parametrize(
    ("switch", "routes"),
    [
        ("consent.robots=no", {ROBOTS: DENY}),
        ("consent.training_agents=[]", {ROBOTS: b"User-agent: ClaudeBot\nDisallow: /\n"}),
        ("consent.content_usage=no", {ROBOTS: b"User-agent: *\nContent-Usage: train-ai=n\n"}),
        ("consent.content_signal=no", {ROBOTS: b"User-agent: *\nContent-Signal: ai-train=no\n"}),
        ("consent.rsl=no", {ROBOTS: b"License: https://licences.test/l.xml\n"}),
        ("consent.ai_txt=no", {"/ai.txt": b"User-Agent: *\nDisallow: *.png\n"}),
        ("consent.tdm=no", {TDM: b'[{"location": "/", "tdm-reservation": 1}]'}),
        ("consent.headers=no", {"/a.png": (200, {"X-Robots-Tag": "noai"}, picture())}),
    ],
)
def test_each_rule_has_a_switch(switch: str, routes: dict[str, Route]) -> None:
    (outcome,), _ = ask(routes)
    assert outcome.reason is not None
    (outcome,), _ = ask(routes, switch)
    assert outcome.reason is None


def test_lists_of_domains_and_urls(tmp_path: Path) -> None:
    (tmp_path / "domains.txt").write_text("# who asked\nExample.test # 2026\n")
    pq.write_table(pa.table({"url": ["http://b.test/x%20y.png"]}), tmp_path / "urls.parquet")
    lists = OptOutLists(
        settings(
            f"consent.domains=[{tmp_path}/domains.txt]", f"consent.urls=[{tmp_path}/urls.parquet]"
        ).consent
    )
    assert lists.reason(URL("http://img.example.test/a.png")) == "consent.list_domain"
    assert lists.reason(URL("http://notexample.test/a.png")) is None
    assert lists.reason(URL("http://b.test/x y.png#top")) == "consent.list_url"
    assert lists.reason(URL("http://b.test/z.png")) is None


def test_listed_url_is_not_requested(tmp_path: Path) -> None:
    (tmp_path / "domains.txt").write_text("127.0.0.1\n")
    (outcome,), web = ask({}, f"consent.domains=[{tmp_path}/domains.txt]")
    assert outcome.reason == "consent.list_domain"
    assert web.seen == []


def test_lists_of_hashes(tmp_path: Path) -> None:
    (outcome,), _ = ask({})
    assert outcome.picture is not None
    sha256, phash = outcome.picture.sha256, outcome.picture.phash
    assert phash is not None
    near = f"{int(phash, 16) ^ 0b101:016x}"
    (tmp_path / "sha").write_text(sha256 + "\n")
    (tmp_path / "phash").write_text(near + "\n")
    (outcome,), _ = ask({}, f"consent.sha256=[{tmp_path}/sha]")
    assert (outcome.reason, outcome.data) == ("consent.list_sha256", None)
    (outcome,), _ = ask({}, f"consent.phash=[{tmp_path}/phash]")
    assert outcome.reason is None
    (outcome,), _ = ask({}, f"consent.phash=[{tmp_path}/phash]", "consent.phash_distance=2")
    assert outcome.reason == "consent.list_phash"


def test_list_that_is_missing_or_broken_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such opt-out list"):
        OptOutLists(settings(f"consent.urls=[{tmp_path}/gone]").consent)
    (tmp_path / "sha").write_text("not hex\n")
    with pytest.raises(InputError, match="64 hex digits"):
        OptOutLists(settings(f"consent.sha256=[{tmp_path}/sha]").consent)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (["robots-meta:noai"], "consent.page"),
        (["x-robots-tag:noimageindex"], "consent.page"),
        (["robots-meta:none"], "consent.page"),
        (["robots-meta:benben:noai"], "consent.page"),
        (["robots-meta:ccbot:noai"], "consent.page"),
        (["robots-meta:googlebot:noindex"], None),
        (["robots-meta:noarchive"], None),
        (["tdm-reservation:1", "tdm-policy:https://a.test/p"], "consent.page"),
        (["tdm-policy:https://a.test/p"], None),
        ([], None),
    ],
)
def test_opt_outs_of_the_page(facts: list[str], reason: str | None) -> None:
    assert page_reason(facts, settings().consent, "benben") == reason
