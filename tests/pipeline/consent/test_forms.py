"""Each form end to end: a site of its own on loopback, its page extracted, its image fetched."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benben import extract_page
from benben.pipeline.consent.directives import HEADERS
from benben.pipeline.consent.image_consent import page_reason
from benben.pipeline.images.fetch.existing_copies import ArchiveLookup
from benben.pipeline.images.fetch.fetcher import fetch_part
from benben.pipeline.images.fetch.journal import SLOTS, SlotRange
from benben.pipeline.images.fetch.plan import PartOutcomes, WantedImage
from benben.pipeline.images.fetch.resolver import owner
from tests.pipeline.consent.forms import FORMS, Form
from tests.pipeline.images.stores import store
from tests.web import Handler, Web, picture, serving, settings

ALL = SlotRange(0, SLOTS)
SITES = [(f"{kind} {number}", form) for kind, forms in FORMS.items()
         for number, form in enumerate(forms)]  # fmt: skip
IMAGE = "/img/a.png"
PICTURE = picture()


class Lines(dict[str, str]):
    """Headers with repeated lines, as those of an archived response."""

    def __init__(self, lines: tuple[tuple[str, str], ...]) -> None:
        super().__init__(lines)
        self._lines = lines

    def getall(self, name: str, default: list[str]) -> list[str]:
        return [value for key, value in self._lines if key.lower() == name] or default


def host_of(number: int) -> str:
    return f"127.0.{1 + number // 200}.{1 + number % 200}"


def answer(handler: Handler) -> None:
    """The response of the form's site: by the address that was asked."""
    host = handler.headers["Host"].split(":")[0]
    third, fourth = map(int, host.split(".")[2:])
    form = SITES[(third - 1) * 200 + fourth - 1][1]
    if handler.path != IMAGE:
        handler.send(*form.files.get(handler.path, (404, {}, b"")))
        return
    handler.send_response(200)
    for name, value in (*form.image_headers, ("Content-Length", str(len(PICTURE)))):
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(PICTURE)


def wanted_image(form: Form, url: str) -> WantedImage:
    """The image as the page's opt-outs leave it."""
    chosen = settings()
    page = extract_page(form.page or "<p>x</p>", url, Lines(form.page_headers))
    reason = page_reason(page.opt_outs, chosen.consent, chosen.product)
    return WantedImage.of(url)._replace(opt_out=reason)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str | None], Web]:
    """Reasons by host of all forms, each fetched once, and the server they were fetched from."""
    folder: Path = tmp_path_factory.mktemp("forms")
    with serving({"*": answer}, "0.0.0.0") as web:
        hosts = [host_of(number) for number in range(len(SITES))]
        allow = tuple(f"{host}:{web.port}" for host in hosts)
        chosen = settings(f"limits.ports=[{web.port}]", allow=allow)
        urls = [web.url(IMAGE, host) for host in hosts]
        pairs = zip(SITES, urls, strict=True)
        wanted = [wanted_image(form, url) for (_, form), url in pairs]
        wanted.sort(key=lambda image: owner(image.target))
        fetch_part(wanted, store(folder), ALL, chosen, ArchiveLookup({}))
    rows = PartOutcomes(store(folder), ALL, [(url, 0) for url in urls]).images()
    return {row["host"]: row["reason"] for row in rows.to_pylist()}, web


@pytest.mark.parametrize("number", range(len(SITES)), ids=[name for name, _ in SITES])
def test_form(number: int, fetched: tuple[dict[str, str | None], Web]) -> None:
    reasons, web = fetched
    form, host = SITES[number][1], host_of(number)
    assert reasons[host] == form.verdict, form
    requests = sum(seen.host == host and seen.path == IMAGE for seen in web.seen)
    told = any(name.lower() in HEADERS for name, _ in form.image_headers)  # by the image itself
    assert requests == (1 if form.verdict is None or told else 0)


def test_there_are_enough_forms() -> None:
    numbers = Counter({kind: len(forms) for kind, forms in FORMS.items()})
    assert numbers["robots"] >= 40
    assert numbers["directives"] >= 40
    assert numbers["tdm"] >= 20
    assert numbers["usage"] >= 40
