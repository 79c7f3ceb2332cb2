"""Requests as a server sees them, and outcomes as the table holds them."""

from __future__ import annotations

import gzip
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.images.fetch.fetcher import Sinks, fetch_images
from benben.pipeline.images.fetch.request import Outcome, Request, to_table
from benben.pipeline.images.fetch.resolver import owner
from benben.pipeline.images.processing.processor import ImageProcessor
from tests.pipeline.images.fetching import fetch_all
from tests.web import Handler, Route, Web, picture, serving, settings

PNG = {"Content-Type": "image/png"}


def ask(routes: dict[str, Route], paths: list[str], *overrides: str) -> tuple[list[Outcome], Web]:
    with serving({"/robots.txt": 404, "/.well-known/tdmrep.json": 404, **routes}) as web:
        chosen = settings(*overrides, allow=(f"127.0.0.1:{web.port}",))
        return fetch_all([web.url(path) for path in paths], chosen), web


def one(route: Route, *overrides: str) -> Outcome:
    (outcome,), _ = ask({"/a": route}, ["/a"], *overrides)
    return outcome


def test_row_tells_all_of_a_good_image() -> None:
    outcome = one((200, PNG, picture(90, 60)))
    row = to_table([outcome.row()]).to_pylist()[0]
    assert row["reason"] is None
    assert (row["width"], row["height"], row["aspect"], row["format"]) == (90, 60, 1.5, "png")
    assert (row["status"], row["content_type"], row["requests"]) == (200, "image/png", 1)
    assert row["source"] == "network"
    assert row["num_bytes"] == len(picture(90, 60))
    assert outcome.data == picture(90, 60)


def test_each_url_has_one_outcome_in_order_and_is_requested_once() -> None:
    paths = [f"/{number}" for number in range(100)]
    routes: dict[str, Route] = {
        path: picture(seed=number) if number % 3 else 404 for number, path in enumerate(paths)
    }
    outcomes, web = ask(routes, [*paths, *paths])
    assert [outcome.url.rsplit("/", 1)[1] for outcome in outcomes] == [p[1:] for p in paths]
    assert sorted(web.paths()) == sorted(paths)


@pytest.mark.parametrize("status", [204, 206, 400, 401, 403, 404, 410, 451, 418, 501])
def test_final_status_is_requested_once(status: int) -> None:
    (outcome,), web = ask({"/a": status}, ["/a"], "politeness.retries=3")
    assert (outcome.reason, outcome.retryable, web.count("/a")) == (f"http.{status}", False, 1)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_retryable_status_is_retried_then_left_for_a_later_attempt(status: int) -> None:
    (outcome,), web = ask({"/a": status}, ["/a"], "politeness.retries=2")
    assert (outcome.reason, outcome.retryable, web.count("/a")) == (f"http.{status}", True, 3)
    assert outcome.requests == 3


def test_success_after_a_failure() -> None:
    answers: list[Route] = [503, (200, PNG, picture())]
    (outcome,), _ = ask(
        {"/a": lambda handler: handler.answer(answers.pop(0))}, ["/a"], "politeness.retries=2"
    )
    assert (outcome.reason, outcome.requests) == (None, 2)


def test_retry_after_is_waited_for_by_the_whole_host() -> None:
    answers: list[Route] = [(429, {"Retry-After": "1"}, b"")]

    def limited(handler: Handler) -> None:
        handler.answer(answers.pop() if answers else picture())

    paths = ["/a", "/b", "/c"]
    outcomes, web = ask(
        {"/a": limited, "/b": picture(), "/c": picture()},
        paths,
        "politeness.retries=1",
        "politeness.connections=1",
    )
    assert [outcome.reason for outcome in outcomes] == [None] * 3
    first, second, *_ = [seen.at for seen in web.seen if seen.path in paths]
    assert second - first >= 1


def test_rate_and_connections_of_a_host_are_kept() -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.15)
        handler.answer(picture())

    paths = [f"/{number}" for number in range(16)]
    started = time.monotonic()
    _, web = ask(
        dict.fromkeys(paths, slow),
        paths,
        "politeness.requests_per_second=20",
        "politeness.connections=2",
    )
    assert web.open_most <= 2
    assert time.monotonic() - started >= (len(web.seen) - 1) / 20


def test_robots_crawl_delay_is_obeyed() -> None:
    robots = b"User-agent: *\nCrawl-delay: 0.4\n"
    started = time.monotonic()
    ask({"/robots.txt": robots, "/a": picture(), "/b": picture()}, ["/a", "/b"])
    assert time.monotonic() - started >= 0.8


def test_failing_host_is_given_up_and_no_further_request_made() -> None:
    paths = [f"/{number}" for number in range(60)]
    outcomes, web = ask(
        {"*": 500, "/robots.txt": 404, "/.well-known/tdmrep.json": 404},
        paths,
        "politeness.breaker_failures=4",
        "politeness.breaker_seconds=0.1",
        "politeness.breaker_openings=1",
        "politeness.connections=1",
    )
    assert len(web.paths()) == 8
    assert {outcome.reason for outcome in outcomes[8:]} == {"host.given_up"}
    assert all(outcome.retryable for outcome in outcomes)


def test_images_per_host_are_bounded() -> None:
    paths = [f"/{number}" for number in range(9)]
    outcomes, web = ask({"*": picture()}, paths, "politeness.images_per_host=5")
    assert len(web.paths("/")) == 5
    assert sum(outcome.reason == "host.quota" for outcome in outcomes) == 4


def test_redirects_within_a_host_are_followed_and_bounded() -> None:
    routes: dict[str, Route] = {
        f"/{step}": (302, {"Location": f"{step + 1}"}, b"") for step in range(9)
    }
    (outcome,), _ = ask({**routes, "/3": picture()}, ["/0"])
    assert outcome.reason is None
    assert outcome.final_url is not None
    assert outcome.final_url.endswith("/3")
    (outcome,), web = ask(routes, ["/0"], "limits.redirects=4")
    assert (outcome.reason, len(web.paths())) == ("http.redirects", 5)


def test_redirect_to_another_host_obeys_that_host() -> None:
    with (
        serving({"/robots.txt": b"User-agent: *\nDisallow: /no\n", "*": picture()}) as other,
        serving({"/robots.txt": 404}) as web,
    ):
        for path in ("/no", "/yes"):
            location = f"http://b.test:{other.port}{path}"
            web.routes[path] = (301, {"Location": location}, b"")

        async def lookup(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        chosen = settings(allow=(f"a.test:{web.port}", f"b.test:{other.port}"))
        urls = [web.url(path, "a.test") for path in ("/no", "/yes")]
        outcomes = fetch_all(urls, chosen, lookup)
    assert [outcome.reason for outcome in outcomes] == ["consent.robots", None]
    assert other.paths() == ["/yes"]
    assert outcomes[1].url.startswith("http://a.test")
    assert outcomes[1].final_url == f"http://b.test:{other.port}/yes"


def test_endless_redirects_between_hosts_end() -> None:
    with serving({"/robots.txt": 404}) as web:
        for here, there in (("a", "b"), ("b", "a")):
            location = f"http://{there}.test:{web.port}/{there}"
            web.routes[f"/{here}"] = (302, {"Location": location}, b"")

        async def lookup(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        chosen = settings("limits.redirects=3", allow=(f"a.test:{web.port}", f"b.test:{web.port}"))
        (outcome,) = fetch_all([web.url("/a", "a.test")], chosen, lookup)
    assert outcome.reason == "http.redirects"
    assert len(web.paths()) == 4


def test_too_large_a_body_is_not_read() -> None:
    sent = []

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "image/png")
        handler.end_headers()
        handler.wfile.write(picture())
        for _ in range(400):
            handler.wfile.write(bytes(1 << 16))
            sent.append(1)

    declared = one((200, PNG, bytes(3_000_000)), "limits.bytes=2000000")
    assert declared.reason == "http.too_large"
    undeclared = one(endless, "limits.bytes=2000000")
    assert undeclared.reason == "http.too_large"
    assert len(sent) < 300


def test_slow_body_ends_at_the_time_limit() -> None:
    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        for _ in range(60):
            handler.wfile.write(b"\x89PNG")
            time.sleep(0.1)

    started = time.monotonic()
    outcome = one(drip, "limits.seconds=1")
    assert (outcome.reason, outcome.retryable) == ("http.timeout", True)
    assert time.monotonic() - started < 5


def test_incomplete_body_is_requested_again() -> None:
    def cut(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(picture()[:50])
        handler.close_connection = True

    (outcome,), web = ask({"/a": cut}, ["/a"], "politeness.retries=1")
    assert (outcome.reason, outcome.retryable, web.count("/a")) == ("http.incomplete", True, 2)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-Long": "x" * 20_000}, "http.protocol"),
        ({f"X-{number}": "y" for number in range(300)}, "http.protocol"),
        ({"Content-Type": "text/html"}, "http.content_type"),
        ({"Content-Type": "video/mp4"}, "http.content_type"),
        ({"Content-Type": "application/octet-stream"}, None),
        ({"Content-Encoding": "br"}, "http.content_encoding"),
        ({"Content-Encoding": "identity"}, None),
    ],
)
def test_headers_decide_before_the_body(headers: dict[str, str], reason: str | None) -> None:
    assert one((200, headers, picture())).reason == reason


def test_packed_bodies_are_unpacked_within_the_limit() -> None:
    packed = {**PNG, "Content-Encoding": "gzip"}
    assert one((200, packed, gzip.compress(picture()))).reason is None
    bomb = gzip.compress(bytes(50_000_000))
    assert one((200, packed, bomb), "limits.bytes=1000000").reason == "http.too_large"
    assert one((200, packed, b"no gzip")).reason == "http.content_encoding"


def test_long_body_that_is_no_image_is_not_read_to_its_end() -> None:
    outcome = one((200, PNG, b"<html>" + bytes(3_000_000)))
    assert outcome.reason == "picture.not_image"


def test_garbage_instead_of_http_is_a_reason() -> None:
    def garbage(handler: Handler) -> None:
        handler.wfile.write(b"\x00\x01 nonsense\r\n\r\n")
        handler.close_connection = True

    assert one(garbage).reason in ("http.protocol", "http.connection")


def test_closed_port_and_unknown_name_are_reasons() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        if host == "gone.test":
            raise OSError("no such name")
        return ["127.0.0.1"]

    chosen = settings("consent.robots=no", "consent.tdm=no", allow=("closed.test:9",))
    urls = ["http://closed.test:9/a.png", "http://gone.test/a.png"]
    outcomes = fetch_all(urls, chosen, lookup)
    assert [outcome.reason for outcome in outcomes] == ["http.connection", "address.dns"]


def test_certificate_is_verified(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(cert)),
        ],
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with serving({"*": picture()}, tls=context) as web:
        chosen = settings("consent.robots=no", "consent.tdm=no", allow=(f"127.0.0.1:{web.port}",))
        (outcome,) = fetch_all([web.url("/a.png").replace("http:", "https:")], chosen)
    assert outcome.reason == "http.tls"
    assert web.seen == []


def test_one_decode_an_image() -> None:
    paths = [f"/{number}" for number in range(30)]
    with serving({"*": picture(), "/robots.txt": 404}) as web:
        chosen = settings(
            "embedding=null",
            "reencode={format: jpeg, quality: 80}",
            allow=(f"127.0.0.1:{web.port}",),
        )
        processor = ImageProcessor(chosen, OptOutLists(chosen.consent))
        kept: list[Outcome] = []
        fetch_images(
            [Request(url, url) for url in map(web.url, paths)],
            chosen,
            Sinks(kept.append),
            processor,
        )
    assert [outcome.reason for outcome in kept] == [None] * 30
    assert processor.decoder.decodes == 30


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://www.A.test:8080/x", "a.test"),
        ("https://a.test/", "a.test"),
        ("http://img.a.test/", "img.a.test"),
        ("nonsense", ""),
        ("http://[bad/", ""),
    ],
)
def test_owner_of_a_url(url: str, name: str) -> None:
    assert owner(url) == name
