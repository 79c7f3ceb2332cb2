"""Receipts: every verdict can be derived again from them, and every change is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.pipeline.consent.page_robots import PageRobots
from benben.pipeline.consent.receipts import PAGE_REASON, ReceiptCheck, page_row, page_rows
from benben.pipeline.consent.site_files import with_digest
from benben.pipeline.images.fetch.existing_copies import ArchiveLookup
from benben.pipeline.images.fetch.fetcher import fetch_part
from benben.pipeline.images.fetch.journal import SLOTS, SlotRange
from benben.pipeline.images.fetch.plan import PartOutcomes, WantedImage
from benben.pipeline.schema import CONSENT, DOCUMENTS, VERDICTS
from benben.pipeline.settings.fetch import FetchSettings
from tests.pipeline.images.stores import store
from tests.web import Route, picture, serving, settings

ALL = SlotRange(0, SLOTS)
NO_ROBOTS = PageRobots([], settings().consent, "benben")
DENY = b"User-agent: *\nDisallow: /private\n"
ROUTES: dict[str, Route] = {
    "/robots.txt": DENY + b"Content-Usage: /used train-ai=n\nContent-Signal: /sig ai-train=no\n",
    "/.well-known/tdmrep.json": b'[{"location": "/tdm", "tdm-reservation": 1}]',
    "/ai.txt": b"User-Agent: *\nDisallow: /ai\n",
    "/tagged": (200, {"X-Robots-Tag": "otherbot: noindex, noai"}, picture()),
    "/noai": (200, {"X-Robots-Tag": "noai"}, picture()),
    "/moved": (302, {"Location": "/private/x"}, b""),
    "/gone": 404,
    "*": picture(),
}
PATHS = {
    "/open": None, "/tagged": None, "/private": "consent.robots", "/moved": "consent.robots",
    "/used": "consent.content_usage", "/sig": "consent.content_signal", "/tdm": "consent.tdm",
    "/ai": "consent.ai_txt", "/noai": "consent.x_robots_tag", "/listed": "consent.list_url",
}  # fmt: skip


def receipts(tmp_path: Path) -> tuple[list[dict[str, Any]], FetchSettings, str]:
    """Receipts of a site with mixed signals, as the table holds them."""
    with serving(dict(ROUTES)) as web:
        (tmp_path / "urls").write_text(web.url("/listed"))
        allow = (f"127.0.0.1:{web.port}",)
        chosen = settings(f"consent.urls=[{tmp_path}/urls]", allow=allow)
        urls = [web.url(path) for path in (*PATHS, "/gone")]
        wanted = [WantedImage.of(url) for url in urls]
        wanted.append(WantedImage.of(web.url("/page"))._replace(opt_out="consent.page"))
        fetch_part(wanted, store(tmp_path), ALL, chosen, ArchiveLookup({}))
    outcomes = PartOutcomes(store(tmp_path), ALL, [(image.url, 0) for image in wanted])
    images = outcomes.images()
    reasons = dict(zip(images["url"].to_pylist(), images["reason"].to_pylist(), strict=True))
    table = pa.Table.from_pylist(list(outcomes.receipts(reasons)), schema=CONSENT)
    return table.to_pylist(), chosen, web.url("")


def problems(rows: list[dict[str, Any]], chosen: FetchSettings) -> Iterator[str]:
    check = ReceiptCheck(chosen.consent, chosen.product, chosen.consent)
    return (problem for _, problem in check.problems(rows))


def test_every_verdict_follows_from_the_receipts(tmp_path: Path) -> None:
    rows, chosen, base = receipts(tmp_path)
    assert [row["path"] for row in rows if row["kind"] == "source"] == [
        "/robots.txt", "/.well-known/tdmrep.json", "/ai.txt",
    ]  # fmt: skip
    found = {row["url"].removeprefix(base): row["reason"] for row in rows if row["kind"] == "image"}
    assert found == PATHS | {"/page": "consent.page"}
    assert set(problems(rows, chosen)) == {""}


def test_a_changed_receipt_is_noticed(tmp_path: Path) -> None:
    rows, chosen, _ = receipts(tmp_path)
    for place, row in enumerate(rows):
        for column in ("url", "path", "said", "reason", "asked_at", "digest", "status"):
            old = row[column]
            new = (old or "") + "x" if not isinstance(old, int) else old + 1
            changed = [*rows[:place], {**row, column: new}, *rows[place + 1 :]]
            assert list(problems(changed, chosen))[place] != "", column


def test_another_source_with_a_right_digest_is_noticed(tmp_path: Path) -> None:
    rows, chosen, _ = receipts(tmp_path)
    forged = with_digest({**rows[0], "said": "", "digest": None})
    new = [{**row, "sources": [s.replace(rows[0]["digest"], forged["digest"])
                               for s in row["sources"]]} for row in rows[1:]]  # fmt: skip
    found = list(problems([forged, *(with_digest({**r, "digest": None}) for r in new)], chosen))
    assert any("the verdict was consent.robots, and is None" in problem for problem in found)
    assert any("is missing" in problem for problem in problems(rows[1:], chosen))


@pytest.mark.parametrize(
    ("facts", "reasons"), [([], []), (["robots-meta:noai"], [PAGE_REASON, "document.x.min"])]
)
def test_pages(tmp_path: Path, facts: list[str], reasons: list[str]) -> None:
    chosen = settings()
    page = {"doc_id": "a", "url": "http://a.test/", "status": 200, "opt_outs": facts}
    other = {"doc_id": "b", "url": "http://b.test/", "opt_outs": []}
    verdicts = [
        {"doc_id": "a", "kept": not reasons, "reasons": reasons},
        {"doc_id": "b", "kept": False, "reasons": ["document.words.min"]},
    ]
    paths = {name: str(tmp_path / f"{name}.parquet") for name in ("documents", "verdicts")}
    pq.write_table(pa.Table.from_pylist([page, other], DOCUMENTS), paths["documents"])
    pq.write_table(pa.Table.from_pylist(verdicts, VERDICTS), paths["verdicts"])
    (row,) = (row for batch in page_rows(paths, NO_ROBOTS) for row in batch.to_pylist())
    assert (row["path"], row["reason"]) == ("a", PAGE_REASON if reasons else None)
    assert list(problems([row], chosen)) == [""]
    wrong = page_row({**page, "captured_at": None}, [] if reasons else [PAGE_REASON])
    assert list(problems([wrong], chosen)) != [""]
