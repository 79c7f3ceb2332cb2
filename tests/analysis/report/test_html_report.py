from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from benben.analysis.report import html_report
from benben.analysis.report.html_report import Corpus
from benben.pipeline.errors import InputError
from tests.analysis.run_folder import DOCUMENTS, make
from tests.browser import Tab, drive, needs_chromium


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def html(output: str) -> str:
    return html_report.render(output)


def test_no_run_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run here"):
        html_report.render(str(tmp_path))


def test_equal_runs_give_equal_reports(output: str, html: str) -> None:
    assert html_report.render(output) == html


def test_funnel_shows_every_stage_and_reason(html: str) -> None:
    for text in ("extract.empty", "document.words.min", "duplicate.minhash", "http.404"):
        assert text in html
    assert html.count('<tr class="stage">') == 6


def test_the_headline_comes_first_and_beside_a_reference(output: str, html: str) -> None:
    def figures(page: str) -> list[str]:
        return [one.text(separator=" ") for one in LexborHTMLParser(page).css(".headline dd")]

    assert html.index('class="headline"') < html.index('id="funnel"')
    assert figures(html)[:3] == ["13", "8", "16"]
    assert figures(html)[4:] == ["1", "not logged"]
    log = '{"event": "committed", "stage": "%s", "time": "%s", "task_cpu_seconds": %d}\n'
    metrics = Path(output) / "metrics"
    metrics.mkdir()
    (metrics / "extract-1.jsonl").write_text(log % ("extract", "1", 1000))
    (metrics / "extract-2.jsonl").write_text('{"event": "started"}\n' + log % ("extract", "2", 30))
    (metrics / "measure-1.jsonl").write_text(log % ("measure", "1", 4))
    again = html_report.render(output, corpus=Corpus(against=output))
    assert re.findall(r"[\d,]+", figures(again)[5]) == ["34", "34"]
    shutil.rmtree(metrics)


def test_a_proof_is_shown(output: str, html: str, tmp_path: Path) -> None:
    row = {"mean": 2.5, "difference": 0.02, "half": 0.01, "verdict": "worse"}
    found = {
        "base": {"name": "default", "mean": 2.48, "seed_spread": 0.01},
        "seeds": [0, 1],
        "sites": 250,
        "bytes": 9000,
        "arms": {"unfiltered": row},
        "rules": {
            "text_node.words": {**row, "difference": -0.03, "verdict": "hurts"},
            "document.words": {**row, "verdict": "helps"},
            "image_node.nsfw": {"verdict": "unchanged"},
        },
    }
    file = tmp_path / "proved.json"
    file.write_text(json.dumps(found))
    page = html_report.render(output, corpus=Corpus(proof=str(file)))
    cells = [one.text() for one in LexborHTMLParser(page).css(".proof td")]
    assert cells[:4] == ["unfiltered", "+0.02000", "0.01000", "worse"]
    assert cells[4::4] == ["document.words", "text_node.words"], "what helps most comes first"
    assert "nothing changes: image_node.nsfw" in page
    assert "Worth of rules" not in html
    file.write_text("[]")
    with pytest.raises(InputError, match="not a file of"):
        html_report.render(output, corpus=Corpus(proof=str(file)))


def test_reasons_of_the_funnel_lead_to_their_examples(html: str) -> None:
    page = LexborHTMLParser(html)
    links = [one.attributes["href"] for one in page.css(".funnel a")]
    assert "#reason-document.words.min" in links
    known = {f"#{one.attributes['id']}" for one in page.css("[id]")}
    assert {one.attributes["href"] for one in page.css("a")} <= known


def test_every_rejection_has_an_example_with_value_and_bound(html: str) -> None:
    rows = re.findall(r'<tr class="rejected">.*?</tr>', html, re.S)
    reasons = {re.search("<code>(.*?)</code>", row).group(1) for row in rows}  # type: ignore[union-attr]
    assert reasons == {
        "extract.empty",
        "document.words.min",
        "document.stopword_ratio.min",
        "document.images.min",
        "duplicate.minhash",
        "text_node.stopword_ratio.min",
    }
    assert any(">0.1<" in row and ">0.35<" in row for row in rows)


def test_the_number_of_documents_is_as_asked(output: str) -> None:
    assert html_report.render(output, 3).count('<article class="document"') == 3


def test_nothing_of_a_page_reaches_the_report_as_markup(html: str) -> None:
    elements = LexborHTMLParser(html).css("*")
    assert not {"script", "iframe", "object"} & {e.tag for e in elements}
    assert sum(element.tag == "style" for element in elements) == 1
    for element in elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            assert name != "href" or (value or "").startswith("#")
            assert name != "src" or (value or "").startswith("data:image/jpeg;base64,")
    assert "{{ 7 * 7 }}" in html  # shown as it is, not evaluated


def test_the_report_says_how_many_documents_it_has_read(output: str) -> None:
    assert "evenly spread over the run" not in html_report.render(output)
    html = html_report.render(output, corpus=Corpus(distribution_documents=7))
    assert "drawn from 6 of 13" in html
    assert html.count("This is page") >= DOCUMENTS  # shipped documents are all there


@needs_chromium
@pytest.mark.browser
def test_chromium_shows_funnel_plots_and_documents_with_images(html: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(html, encoding="utf-8")

    async def visit(tab: Tab) -> dict[str, object]:
        await tab.open(page.as_uri())
        visible = "e => e.getBoundingClientRect().width > 0 && e.getBoundingClientRect().height > 0"
        hover = "new MouseEvent('mouseover', {bubbles: true})"
        await tab.evaluate(f"document.querySelectorAll('*').forEach(e => e.dispatchEvent({hover}))")
        return {
            "title": await tab.evaluate("document.title"),
            "rows": await tab.evaluate("document.querySelectorAll('.funnel tr.stage').length"),
            "plots": await tab.evaluate(
                f"[...document.querySelectorAll('.histogram .kept')].filter({visible}).length"
            ),
            "documents": await tab.evaluate(
                "[...document.querySelectorAll('article.document')].filter(a => {"
                " const images = [...a.querySelectorAll('img')];"
                " return images.length == 2 && images.every(i => i.naturalWidth > 100 &&"
                f" ({visible})(i) && i.previousElementSibling && i.nextElementSibling) }}).length"
            ),
            "hidden": await tab.evaluate("getComputedStyle(document.body).display"),
            "dialogs": tab.dialogs,
            "requests": [url for url in tab.requests if not url.startswith("data:")],
        }

    found = drive(tmp_path / "profile", visit)
    assert found["title"] == "Benben run report"
    assert found["rows"] == 6
    assert found["plots"] > 20  # type: ignore[operator]
    assert found["documents"] == DOCUMENTS
    assert found["hidden"] == "block"
    assert (found["dialogs"], found["requests"]) == (0, [])
