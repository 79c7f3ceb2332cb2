"""Pages are refused by the robots.txt that a crawl captured of their site."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.jobs import decide
from benben.jobs.engine.stage import Part
from benben.pipeline import config, manifest
from benben.pipeline.consent import page_robots
from benben.pipeline.consent.page_robots import PageRobots, read_robots
from benben.pipeline.consent.receipts import ReceiptCheck, page_rows
from benben.pipeline.errors import InputError
from benben.pipeline.manifest import Manifest, write_part
from benben.pipeline.schema import DOCUMENTS, ROBOTS, VERDICTS
from benben.pipeline.storage.ranges import Bytes

DENY = b"User-agent: CCBot\nDisallow: /private\n"
FETCH = config.load("default", ["input=[x]"]).fetch


def record(url: str, body: bytes, head: bytes = b"HTTP/1.1 200 OK\r\n", day: int = 1) -> bytes:
    """One response record, a gzip member of its own."""
    block = head + b"\r\n" + body
    text = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Date: 2026-10-0{day}T00:00:00Z\r\nContent-Type: application/http; msgtype=response"
        f"\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return gzip.compress(text.encode() + block + b"\r\n\r\n")


ARCHIVE = b"".join(
    [
        record("https://a.test/robots.txt", b"User-agent: *\nAllow: /\n"),
        record("https://a.test/robots.txt", DENY, day=2),
        record("https://b.test/robots.txt", b"", b"HTTP/1.1 404 Gone\r\n"),
        record("https://c.test/robots.txt", gzip.compress(DENY),
               b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"),
        record("https://c.test/page", b"<p>x"),
        record("https://d.test/robots.txt", gzip.compress(DENY)[:-9],
               b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"),
    ]
)  # fmt: skip
REASONS = {
    "https://a.test/private/1": "consent.robots",
    "https://a.test/open": None,
    "https://b.test/private/1": None,
    "https://c.test/private/1": "consent.robots",
    "https://d.test/open": "consent.unreadable",
    "https://unknown.test/": None,
}


def write_table(folder: Path) -> str:
    """The table, as the command writes it."""
    rows = read_robots(Bytes(ARCHIVE, "a"), 0, len(ARCHIVE), 512_000)
    file = write_part(str(folder / "x"), 0, ROBOTS, rows)
    files = [file.model_copy(update={"name": f"x/{file.name}"})]
    made = Manifest(table="robots", id="x", stage="robots", version="0", config={}, inputs={},
                    files=files)  # fmt: skip
    manifest.write(str(folder), made)
    return str(folder)


def test_answers_of_an_archive(tmp_path: Path) -> None:
    write_table(tmp_path)
    rows = pq.read_table(tmp_path / "x").to_pylist()
    assert [(row["origin"], row["status"]) for row in rows] == [
        ("https://a.test", 200), ("https://a.test", 200), ("https://b.test", 404),
        ("https://c.test", 200), ("https://d.test", 200),
    ]  # fmt: skip
    assert rows[3]["text"] == DENY.decode()
    assert rows[4]["problem"] == "compressed and cut off"


def test_the_latest_answer_of_a_site_decides(tmp_path: Path) -> None:
    robots = PageRobots([write_table(tmp_path)], REASONS, FETCH.consent, FETCH.product)
    assert {url: robots.reason(url) for url in REASONS} == REASONS


def test_a_missing_table_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="benben robots"):
        page_robots.identities([str(tmp_path)])


def test_verdicts_and_receipts_of_refused_pages(tmp_path: Path) -> None:
    table = write_table(tmp_path / "robots")
    pages = [{"doc_id": str(n), "url": url, "opt_outs": []} for n, url in enumerate(REASONS)]
    verdicts: list[dict[str, Any]] = [
        {"doc_id": page["doc_id"], "kept": True, "reasons": []} for page in pages
    ]
    paths = {name: str(tmp_path / f"{name}.parquet") for name in ("documents", "verdicts")}
    pq.write_table(pa.Table.from_pylist(pages, DOCUMENTS), paths["documents"])
    batch = pa.RecordBatch.from_pylist(verdicts, schema=VERDICTS)
    part = Part(0, paths)
    ((_, judged),) = decide.with_robots(iter([(batch, batch)]), part, [table], FETCH)
    assert judged["kept"].to_pylist() == [reason is None for reason in REASONS.values()]
    pq.write_table(pa.Table.from_batches([judged]), paths["verdicts"])
    robots = PageRobots([table], REASONS, FETCH.consent, FETCH.product)
    rows = [row for found in page_rows(paths, robots) for row in found.to_pylist()]
    assert {row["url"]: row["reason"] for row in rows if row["kind"] == "page"} == REASONS
    check = ReceiptCheck(FETCH.consent, FETCH.product, None)
    assert {problem for _, problem in check.problems(rows)} == {""}


def test_a_changed_table_makes_verdicts_new(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    given = config.load("default", ["input=[x]", f"robots=['{table}']"])
    assert set(decide.sources(given)) == {f"robots {tmp_path.name}", "consent"}
    assert decide.sources(config.load("default", ["input=[x]"])) == {}
