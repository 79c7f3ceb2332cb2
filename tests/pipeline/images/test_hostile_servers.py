"""What a server sends costs its own images only, and its outcome fits every table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benben.pipeline.images.fetch.existing_copies import ArchiveLookup
from benben.pipeline.images.fetch.fetcher import fetch_part
from benben.pipeline.images.fetch.journal import SLOTS, SlotRange
from benben.pipeline.images.fetch.plan import PartOutcomes, WantedImage
from benben.pipeline.images.processing.processor import ImageProcessor
from benben.pipeline.storage.retrying import retry_after_seconds
from tests.pipeline.images.stores import store
from tests.web import Handler, Route, Web, picture, serving, settings

ALL = SlotRange(0, SLOTS)


def raw(*lines: bytes, body: bytes = b"") -> Route:
    """A response with header lines sent as they are."""

    def answer(handler: Handler) -> None:
        handler.close_connection = True
        length = b"Content-Length: %d" % len(body)
        head = b"\r\n".join([b"HTTP/1.1 200 OK", *lines, length, b"", b""])
        handler.wfile.write(head + body)

    return answer


def fetched(folder: Path, web: Web, *overrides: str) -> dict[str, dict[str, Any]]:
    """Path -> row of `images`, of all routes but the site files, through the journal."""
    paths = [
        path for path in web.routes if not path.startswith(("/robots", "/.well-known", "/ai.txt"))
    ]
    wanted = [WantedImage.of(web.url(path)) for path in paths]
    chosen = settings(*overrides, allow=(f"127.0.0.1:{web.port}",))
    fetch_part(wanted, store(folder), ALL, chosen, ArchiveLookup({}))
    table = PartOutcomes(store(folder), ALL, [(image.url, 0) for image in wanted]).images()
    return {row["url"].removeprefix(web.url("")): row for row in table.to_pylist()}


ODD_LINES = {
    "type": b"Content-Type: image/\xff\xfepng; charset=\xc3\x28",
    "controls": b"Content-Type: image/png\x1b[31m\x01",
    "encoding": b"Content-Encoding: \xff\xfe",
    "location": b"Location: http://\xff\xfe/\xed\xa0\x80",
    "robots": b"X-Robots-Tag: \xff\xed\xa0\x80: noai",
    "tdm": b"tdm-reservation: \xff",
    "waits": b"Retry-After: " + "\u00b2".encode(),
}


@pytest.mark.parametrize("name", ODD_LINES)
def test_odd_bytes_in_a_header_leave_a_row(tmp_path: Path, name: str) -> None:
    routes = {"/odd": raw(ODD_LINES[name], body=picture()), "/good": picture(seed=2)}
    with serving({"/robots.txt": 404, **routes}) as web:
        rows = fetched(tmp_path, web)
        assert rows["/good"]["reason"] is None
        assert (rows["/odd"]["host"], len(rows)) == ("127.0.0.1", 2)
        assert str(rows["/odd"]).isprintable()
        asked = len(web.seen)
        assert fetched(tmp_path, web) == rows
        assert len(web.seen) == asked


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "value",
    ["\u00b2", "9" * 400, "-1", "Fri, 31 Dec 9999 23:59:59 -2359", "1 Jan 2026 00:00 +" + "9" * 30],
)
def test_an_odd_retry_after_costs_its_host_only(tmp_path: Path, status: int, value: str) -> None:
    assert (retry_after_seconds(value) or 0) >= 0
    busy = (status, {"Retry-After": value.encode().decode("latin-1")}, b"")
    with serving({"/robots.txt": 404, "/busy": busy}) as web:
        assert fetched(tmp_path, web)["/busy"]["reason"] == f"http.{status}"


@pytest.mark.parametrize(
    "text",
    [
        b"User-agent: *\nRequest-rate: 1/" + b"9" * 400,
        b"User-agent: *\nRequest-rate: 0/0s\nCrawl-delay: nan",
        b"User-agent: *\nCrawl-delay: " + b"9" * 400,
        b"\xff\xfe\x00" * 1000,
    ],
)
def test_an_odd_robots_txt_costs_its_origin_only(tmp_path: Path, text: bytes) -> None:
    with serving({"/robots.txt": text, "/a": picture()}) as web:
        rows = fetched(tmp_path, web)
        assert fetched(tmp_path, web) == rows  # the journal holds the answer


def test_an_exception_over_site_files_costs_the_origin_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of a rate")

    monkeypatch.setattr("benben.pipeline.images.fetch.host.OriginConsent", broken)
    with serving({"/robots.txt": b"", "/a": picture(), "/b": picture()}) as web:
        rows = fetched(tmp_path, web)
        assert web.paths() == []  # without an answer nothing is requested
    assert {row["reason"] for row in rows.values()} == {"consent.error"}
    detail = f"http://127.0.0.1:{web.port}: ZeroDivisionError: of a rate"
    assert rows["/a"]["detail"] == detail


def test_an_exception_over_an_image_costs_that_one_and_names_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = ImageProcessor.process

    def broken(self: ImageProcessor, data: bytes, outcome: Any) -> None:
        process(self, data, outcome)
        if outcome.url.endswith("/bad"):
            raise RuntimeError(f"of a model \ud800 {object()}")

    monkeypatch.setattr(ImageProcessor, "process", broken)
    with serving({"/robots.txt": 404, "/bad": picture(), "/good": picture(seed=1)}) as web:
        rows = fetched(tmp_path, web)
    assert (rows["/good"]["reason"], rows["/bad"]["reason"]) == (None, "fetch.error")
    assert rows["/bad"]["detail"] == "127.0.0.1: RuntimeError: of a model \ufffd <object object>"
    assert rows["/bad"]["sha256"] is None


def test_an_outcome_that_the_table_cannot_hold_becomes_one_that_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = ImageProcessor.process

    def broken(self: ImageProcessor, data: bytes, outcome: Any) -> None:
        process(self, data, outcome)
        outcome.picture.width = 2**40

    monkeypatch.setattr(ImageProcessor, "process", broken)
    with serving({"/robots.txt": 404, "/a": picture()}) as web:
        row = fetched(tmp_path, web)["/a"]
    assert (row["reason"], row["width"]) == ("fetch.error", None)
