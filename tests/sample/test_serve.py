from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from benben.sample.build import build
from benben.sample.serve import serving


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    out = tmp_path_factory.mktemp("served")
    build(out, pages=3)
    (out / "secret.txt").write_text("not on the site")
    with serving(out) as number:
        yield number


def get(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read()
    connection.close()
    return answer.status, headers, body


def test_pages_and_pictures_are_served_with_their_types(port: int) -> None:
    status, headers, body = get(port, "/en/red-boat.html?utm_source=newsletter")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<h" in body
    status, headers, body = get(port, "/img/en/red-boat-1.webp")
    assert (status, headers["content-type"], body[:4]) == (200, "image/webp", b"RIFF")


def test_unknown_path_is_not_found(port: int) -> None:
    assert get(port, "/img/en/nothing.jpg")[0] == 404


def test_faults_answer_as_the_gallery_says(port: int) -> None:
    page = get(port, "/en/gallery-of-faults.html")[2].decode()
    paths = ["/" + part.split('"')[0] for part in page.split("img/en/")[1:]]
    answers = [get(port, "/img/en" + path) for path in paths]
    statuses = [status for status, _, _ in answers]
    assert statuses.count(404) == 1
    assert statuses.count(302) == 1
    assert statuses.count(500) == 1
    assert sum("noai" in headers.get("x-robots-tag", "") for _, headers, _ in answers) == 1
    assert sum(body.startswith(b"<!DOCTYPE") for _, _, body in answers) == 1
    assert sum(not body for status, _, body in answers if status == 200) == 1


def test_reserved_page_and_robots(port: int) -> None:
    assert "noai" in get(port, "/en/reserved-by-header.html")[1]["x-robots-tag"]
    assert b"Disallow: /private/" in get(port, "/robots.txt")[2]


def test_head_has_no_body(port: int) -> None:
    status, headers, body = get(port, "/img/en/red-boat-1.webp", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/en/../../secret.txt"])
def test_nothing_outside_the_site_is_served(port: int, path: str) -> None:
    assert get(port, path)[0] == 404
