from __future__ import annotations

import base64
import http.client
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from selectolax.lexbor import LexborHTMLParser

from benben.analysis.explore import server
from benben.analysis.explore.explorer import Explorer
from benben.analysis.explore.index import Index
from benben.analysis.explore.search import Search, find
from benben.analysis.tables import RunTables
from benben.common.local_server import host_name
from benben.jobs.commands import cli
from benben.sample.serve import running
from tests.analysis.run_folder import make
from tests.browser import Tab, drive, needs_chromium


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({}, 13),
        ({"words": "this is PAGE 3."}, 1),
        ({"words": "' or 1=1 --"}, 0),
        ({"host": "site0.example"}, 5),
        ({"url": "javascript:"}, 1),
        ({"lang": "en"}, 13),
        ({"lang": "de"}, 0),
        ({"status": "kept"}, 8),
        ({"status": "rejected"}, 5),
        ({"reason": "duplicate.minhash"}, 1),
        ({"status": "kept", "host": "site1.example"}, 3),
    ],
)
def test_search_and_filters(index: Index, asked: dict[str, str], number: int) -> None:
    found = find(index, Search(**asked))
    assert len(found.rows) == found.total == number


def test_pages_of_hits_meet_without_gap_or_overlap(index: Index) -> None:
    found: list[str] = []
    for number in range(1, 5):
        hits = find(index, Search(page=str(number)), 4)
        assert (hits.total, hits.pages(4)) == (13, 4)
        found += [index.doc_id(row) for row in hits.rows]
    assert len(found) == 13
    assert found == sorted(set(found))


def test_document_shows_rejected_nodes_and_why(output: str) -> None:
    index = Index(RunTables(output))
    doc_id = index.doc_id(find(index, Search(words="page 3.")).rows[0])
    html = Explorer(output).page(f"document-{doc_id}.html", {})
    assert html
    gone = LexborHTMLParser(html).css(".node.dropped")
    assert [node.attributes["data-index"] for node in gone] == ["1"]
    assert "text_node.stopword_ratio.min: 0.05, bound 0.3" in gone[0].text()
    assert len(LexborHTMLParser(html).css(".document img")) == 2


def test_unknown_pages_are_none(output: str) -> None:
    made = Explorer(output)
    assert made.page("document-ffff.html", {}) is None
    assert made.page("../secret", {}) is None
    assert made.page("drift.html", {}) is None  # nothing to compare with


def test_drift_from_itself_is_zero_and_from_another_is_not(output: str, tmp_path: Path) -> None:
    other = Path(make(tmp_path))
    same = Explorer(output, against=str(other)).page("drift.html", {})
    assert same
    distances = [row.css("td")[2].text() for row in LexborHTMLParser(same).css(".drift tbody tr")]
    assert len(distances) > 30
    assert set(distances) == {"0.000"}
    for path in (other / "dataset/data").glob("*.parquet"):
        table = pq.read_table(path, partitioning=None)
        place = table.schema.get_field_index("num_words")
        pq.write_table(table.set_column(place, "num_words", [[5000] * len(table)]), path)
    moved = Explorer(output, against=str(other)).page("drift.html", {})
    assert moved
    first = LexborHTMLParser(moved).css_first(".drift tbody tr")
    assert first.text(separator=" ").split()[:4] == ["shipped", "documents", "num_words", "1.000"]


def test_server_answers_only_requests_for_its_own_name(output: str) -> None:
    with running(server.make_server(Explorer(output))) as port:
        good = (f"127.0.0.1:{port}", "127.0.0.1", "LOCALHOST", f"[::1]:{port}", "[::1]")
        bad = (f"evil.example:{port}", "evil.example", "", "127.0.0.1.evil.example", "[::1", ":1")
        for host, status in (*((host, 200) for host in good), *((host, 403) for host in bad)):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/", headers={"Host": host})
            answer = connection.getresponse()
            assert answer.status == status
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            connection.close()


def test_names_of_a_server() -> None:
    names = ["Viewer.example", "viewer.example:8800", "viewer.example.", " viewer.example"]
    assert {host_name(name) for name in names} == {"viewer.example"}
    assert host_name("[::1]:80") == host_name("[::1]") == "[::1]"


def test_a_missing_run_is_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explore", str(tmp_path), "--static", str(tmp_path / "out")]) == 2
    assert "no run here" in capsys.readouterr().err


def test_static_pages_link_to_pages_that_exist(output: str, tmp_path: Path) -> None:
    assert cli.main(["explore", output, "--static", str(tmp_path / "site")]) == 0
    pages = list((tmp_path / "site").glob("*.html"))
    assert len(pages) == 13 + 4
    for page in pages:
        for element in LexborHTMLParser(page.read_text("utf-8")).css("*"):
            target = element.attributes.get("href")
            assert target is None or (page.parent / target).is_file()
            source = element.attributes.get("src")
            assert source is None or source.startswith("data:image/jpeg;base64,")
            assert not [name for name in element.attributes if name.startswith("on")]
            assert element.tag != "script"


@needs_chromium
@pytest.mark.browser
def test_chromium_searches_opens_a_document_and_runs_nothing_of_it(
    output: str, tmp_path: Path
) -> None:
    async def visit(tab: Tab, base: str) -> None:
        await tab.open(f"{base}/")
        await tab.evaluate("document.querySelector('input[name=words]').value = 'this is page 3'")
        await tab.follow("document.querySelector('form.search').submit()")
        assert await tab.evaluate("document.querySelectorAll('article.hit').length") == 1
        await tab.follow("document.querySelector('article.hit h3 a').click()")
        assert await tab.evaluate("document.querySelectorAll('.node.dropped .why').length") == 1
        images = "[...document.querySelectorAll('.document img')].map(i => i.naturalWidth)"
        assert min(await tab.evaluate(images)) > 100
        hover = "new MouseEvent('mouseover', {bubbles: true})"
        await tab.evaluate(f"document.querySelectorAll('*').forEach(e => e.dispatchEvent({hover}))")
        assert await tab.evaluate("document.title") == "Benben explorer"
        assert await tab.evaluate("getComputedStyle(document.body).display") == "block"
        assert not [url for url in tab.requests if not url.startswith(("data:", base))]
        assert tab.dialogs == 0

    with running(server.make_server(Explorer(output))) as port:
        drive(tmp_path / "profile", lambda tab: visit(tab, f"http://127.0.0.1:{port}"))


SCREENSHOTS = Path("build/screenshots")


@needs_chromium
@pytest.mark.browser
@pytest.mark.slow
def test_chromium_goes_from_search_to_sibling_labels_and_fits_narrow_and_dark(
    tmp_path: Path,
) -> None:
    run = make(tmp_path / "run")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    async def picture(tab: Tab, name: str, width: int = 1300, scheme: str = "light") -> None:
        await tab.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await tab.call("Emulation.setEmulatedMedia", features=[feature])
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width, name
        found = await tab.call("Page.captureScreenshot")
        (SCREENSHOTS / f"{name}.png").write_bytes(base64.b64decode(found["data"]))

    async def shades(tab: Tab) -> int:
        colour = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
        return max(int(part) for part in re.findall(r"\d+", colour)[:3])

    async def looks(tab: Tab, name: str) -> None:
        await picture(tab, f"{name}-wide")
        assert await shades(tab) > 200
        await picture(tab, f"{name}-dark", scheme="dark")
        assert await shades(tab) < 80
        await picture(tab, f"{name}-narrow", 500)

    async def press(tab: Tab, key: str) -> str:
        event = f"new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}})"
        await tab.follow(f"document.body.dispatchEvent({event})")
        return str(await tab.evaluate("document.querySelector('form.label small').textContent"))

    async def visit(tab: Tab, base: str) -> None:
        await tab.open(f"{base}/index.html?words=this+is+page")
        assert await tab.evaluate("document.querySelector('.total').textContent") == "12"
        await looks(tab, "search")
        await tab.follow("document.querySelector('.facet a[href*=minhash]').click()")
        assert await tab.evaluate("document.querySelector('.total').textContent") == "1"
        assert "nearly the same" in await tab.evaluate(
            "document.querySelector('.meaning').innerText"
        )
        await tab.follow("document.querySelector('article.hit h3 a').click()")
        await looks(tab, "document")
        assert "keep" in await press(tab, "k")
        assert "drop" in await press(tab, "d")
        assert "keep" in await press(tab, "u")
        assert "No label" in await press(tab, "u")
        shown = "getComputedStyle(document.querySelector('.node:focus > .tip')).display"
        await tab.call("Emulation.setFocusEmulationEnabled", enabled=True)
        await tab.evaluate("document.querySelector('.node.dropped').focus()")
        assert await tab.evaluate(shown) == "block"
        await tab.follow("document.querySelector('.siblings a').click()")
        assert await tab.evaluate("!!document.querySelector('.verdict.is-kept')")
        for name in ("images", "funnel"):
            await tab.open(f"{base}/{name}.html")
            await looks(tab, name)
        assert not [url for url in tab.requests if not url.startswith(("data:", base))]
        assert tab.dialogs == 0

    with running(server.make_server(Explorer(run))) as port:
        drive(tmp_path / "profile", lambda tab: visit(tab, f"http://127.0.0.1:{port}"))
