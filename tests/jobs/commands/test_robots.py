"""`benben robots` as a Spark job, and the pages that its table refuses in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from benben.analysis.provenance import consent
from benben.analysis.tables import RunTables
from benben.jobs import decide, extract, fetch, measure
from benben.jobs.commands import cli
from benben.jobs.engine.stage import Run
from benben.pipeline import config, manifest
from benben.pipeline.schema import DUPLICATES
from benben.pipeline.settings import Config
from tests.jobs.made_pages import write_table
from tests.pipeline.consent.captured import ARCHIVE, REASONS, record

pytestmark = pytest.mark.spark
HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
NOAI = HTML + b"X-Robots-Tag: noai\r\n"


def rows(folder: Path) -> list[dict[str, Any]]:
    found = manifest.read(str(folder))
    assert found is not None
    return [row for path in found.paths(str(folder)) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def folder(spark: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archives of pages and of robots.txt files, and the table of these."""
    out = tmp_path_factory.mktemp("robots")
    (out / "robotstxt").mkdir()
    (out / "robotstxt" / "x.warc.gz").write_bytes(ARCHIVE)
    body = b"<html><body><p>A page of %d words.</p></body></html>"
    pages = [record(url, body % number, HTML) for number, url in enumerate(REASONS)]
    (out / "pages.warc.gz").write_bytes(b"".join([*pages, record("https://n.test/", body, NOAI)]))
    table = str(out / "table")
    assert cli.main(["robots", str(out / "robotstxt"), "--output", table]) == 0
    return out


def configured(folder: Path, *overrides: str) -> Config:
    keys = [
        *(f"output={folder}/run", f"input=[{folder}/pages.warc.gz]", f"robots=[{folder}/table]"),
        *("spark.partitions=3", "fetch.enabled=no"),
    ]
    return config.load("unfiltered", [*keys, "rules.document={opt_outs: {max: 0}}", *overrides])


def test_the_table_has_each_answer_once(folder: Path) -> None:
    table = rows(folder / "table")
    assert len(table) == 15
    assert len({(row["url"], row["captured_at"]) for row in table}) == 15


def test_pages_that_their_site_disallows_are_refused_with_receipts(folder: Path) -> None:
    run = Run(configured(folder))
    write_table(folder / "run", "duplicates", DUPLICATES, [[], [], []])
    for stage in (extract, measure, decide, fetch):
        run.execute(stage.STAGE)
    urls = {row["doc_id"]: row["url"] for row in rows(folder / "run" / "documents")}
    reasons = {urls[row["doc_id"]]: row["reasons"] for row in rows(folder / "run" / "verdicts")}
    expected = {url: [reason] if reason else [] for url, reason in REASONS.items()}
    assert reasons == {**expected, "https://n.test/": ["document.opt_outs.max"]}
    receipts = list(consent.verify(RunTables(str(folder / "run"))))
    assert len([name for name, _ in receipts if name.startswith("page ")]) == len(urls)
    assert {problem for _, problem in receipts} == {""}


def test_a_changed_table_makes_verdicts_new(folder: Path) -> None:
    assert set(decide.sources(configured(folder))) == {"robots table", "consent"}
    assert decide.sources(config.load("default", ["input=[x]"])) == {}
