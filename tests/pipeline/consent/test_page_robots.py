"""robots.txt as a crawl captured it: the rows of the table, and what they say of pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.jobs import decide
from benben.jobs.engine.stage import Part
from benben.pipeline import config
from benben.pipeline.consent import page_robots
from benben.pipeline.consent.page_robots import PageRobots, read_robots
from benben.pipeline.consent.receipts import ReceiptCheck, page_rows
from benben.pipeline.errors import InputError
from benben.pipeline.schema import DOCUMENTS, PAGE_ROBOTS, ROBOTS, VERDICTS
from benben.pipeline.storage.ranges import Bytes
from tests.jobs.made_pages import write_table
from tests.pipeline.consent.captured import ARCHIVE, DENY

FETCH = config.load("default", ["input=[x]"]).fetch
DAY = "2026-10-01T00:00:00Z"
ANSWERS: list[dict[str, Any]] = [
    {"origin": "https://a.test", "captured_at": DAY, "status": 200, "text": DENY.decode()},
    {"origin": "https://b.test", "captured_at": "", "status": 404, "text": ""},
    {"origin": "https://c.test", "status": None},
    {"origin": "https://d.test", "status": 200, "text": "", "problem": "compressed and cut off"},
]
REASONS = {
    "https://a.test/private/1": "consent.robots",
    "https://a.test/open": None,
    "https://b.test/private/1": None,
    "https://c.test/open": "consent.robots_unreachable",
    "https://d.test/open": "consent.unreadable",
    "https://unknown.test/": None,
}


def rows_of(name: str) -> list[dict[str, Any]]:
    batches = read_robots(Bytes(ARCHIVE, name), 0, len(ARCHIVE), 512_000)
    return [row for batch in batches for row in batch.to_pylist()]


def test_rows_of_an_archive_are_its_answers_to_requests_for_robots_txt() -> None:
    rows = rows_of("x.warc.gz")
    assert {row["url"].partition("/robots.txt")[1] for row in rows} == {"/robots.txt"}
    assert len(rows) == 13
    texts = {row["url"]: row["text"] for row in rows}
    assert texts["https://c.test/robots.txt"] == DENY.decode()
    assert texts["https://h.test/robots.txt"] == DENY.decode()
    problems = {row["url"]: row["problem"] for row in rows if row["problem"]}
    assert problems == {"https://d.test/robots.txt": "compressed and cut off"}
    assert {row["url"]: row["location"] for row in rows if row["location"]} == {
        "http://e.test/robots.txt": "https://e.test/robots.txt",
        "https://e.test/robots.txt": "https://e.test/rules",
        "https://f.test/robots.txt": "https://f.test/robots.txt",
        "https://g.test/robots.txt": "https://absent.test/robots.txt",
    }


def test_in_an_archive_of_robots_txt_files_all_responses_are_such_answers() -> None:
    urls = [row["url"] for row in rows_of("crawl/segments/1/robotstxt/x.warc.gz")]
    assert len(urls) == 15
    assert "https://e.test/rules" in urls


def test_reasons_of_pages() -> None:
    robots = PageRobots([{**dict.fromkeys(PAGE_ROBOTS.names), **row} for row in ANSWERS],
                        FETCH.consent, FETCH.product)  # fmt: skip
    assert {url: robots.reason(url) for url in REASONS} == REASONS


def test_a_missing_table_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="benben robots"):
        page_robots.identities([str(tmp_path)])


def test_a_table_of_an_earlier_version_says_so(tmp_path: Path) -> None:
    write_table(tmp_path.parent, tmp_path.name, ROBOTS.remove(0), [[]])
    with pytest.raises(InputError, match="benben robots"):
        page_robots.files([str(tmp_path)])
    write_table(tmp_path.parent, tmp_path.name, ROBOTS, [[]])
    assert len(page_robots.files([str(tmp_path)])) == 1


def test_verdicts_and_receipts_of_refused_pages(tmp_path: Path) -> None:
    answers = str(tmp_path / "answers.parquet")
    pq.write_table(pa.Table.from_pylist(ANSWERS, PAGE_ROBOTS), answers)
    pages = [{"doc_id": str(n), "url": url, "opt_outs": []} for n, url in enumerate(REASONS)]
    verdicts: list[dict[str, Any]] = [
        {"doc_id": page["doc_id"], "kept": True, "reasons": []} for page in pages
    ]
    paths = {name: str(tmp_path / f"{name}.parquet") for name in ("documents", "verdicts")}
    pq.write_table(pa.Table.from_pylist(pages, DOCUMENTS), paths["documents"])
    batch = pa.RecordBatch.from_pylist(verdicts, schema=VERDICTS)
    ((_, judged),) = decide.with_robots(iter([(batch, batch)]), Part(0, paths), answers, FETCH)
    assert judged["kept"].to_pylist() == [reason is None for reason in REASONS.values()]
    pq.write_table(pa.Table.from_batches([judged]), paths["verdicts"])
    robots = PageRobots.read(answers, FETCH.consent, FETCH.product)
    rows = [row for found in page_rows(paths, robots) for row in found.to_pylist()]
    assert {row["url"]: row["reason"] for row in rows if row["kind"] == "page"} == REASONS
    check = ReceiptCheck(FETCH.consent, FETCH.product, None)
    assert {problem for _, problem in check.problems(rows)} == {""}
