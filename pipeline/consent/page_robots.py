"""robots.txt as a crawl captured it, for pages: a table of answers by origin, and its verdicts.

Common Crawl ships the robots.txt files of each crawl as archives (robotstxt.paths.gz). The command
`benben robots` turns them into rows of ROBOTS; pages whose site's answer disallows them are refused
as images are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import manifest, storage
from benben.pipeline.archive.http_response import dechunk, parse_response
from benben.pipeline.archive.records import Record, read_records
from benben.pipeline.archive.warc import HTTP_HEAD
from benben.pipeline.consent.site_files import ROBOTS, OriginConsent, SiteFile, origin_of, read_text
from benben.pipeline.errors import InputError
from benben.pipeline.schema import ROBOTS as SCHEMA
from benben.pipeline.settings.consent import ConsentSettings
from benben.pipeline.storage.ranges import Source, Window

BATCH_ROWS = 1_000


def read_robots(source: Source, start: int, end: int, limit: int) -> Iterator[pa.RecordBatch]:
    """Rows of ROBOTS of a stretch of an archive: responses for /robots.txt, to `limit` bytes."""
    rows: list[dict[str, Any]] = []
    for record in read_records(Window(source), start, end):
        if isinstance(record, Record) and record.head.kind == "response":
            origin = origin_of(record.head.url)
            if record.head.url.partition("?")[0] == f"{origin}{ROBOTS}":
                rows.append(_row(record, origin, limit))
        if len(rows) == BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
            rows = []
    yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def _row(record: Record, origin: str, limit: int) -> dict[str, Any]:
    block = record.window.take(record.at, min(record.head.length, limit + HTTP_HEAD))
    message = parse_response(block)
    body, headers = block[message.body_at :], message.headers
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = dechunk(body)
    text, problem = read_text(body, headers.get("content-encoding", ""), limit)
    return {
        "origin": origin,
        "captured_at": record.head.date,
        "status": message.status,
        "text": text if message.status == 200 else "",
        "problem": problem,
    }


def identities(tables: Iterable[str]) -> dict[str, str]:
    """The ids of tables, so that a stage runs again when one changes. Raises InputError."""
    found = {}
    for folder in tables:
        made = manifest.read(folder)
        if made is None:
            raise InputError(f"{folder}: no table of robots.txt; make it with `benben robots`")
        found[f"robots {folder.rstrip('/').rpartition('/')[2]}"] = made.id
    return found


class PageRobots:
    """The captured answers of the origins of some pages, and what they say of the pages."""

    def __init__(
        self, tables: Iterable[str], urls: Iterable[str], settings: ConsentSettings, product: str
    ) -> None:
        origins = pa.array(sorted(set(map(origin_of, urls))), pa.string())
        latest: dict[str, Mapping[str, Any]] = {}
        for folder in tables:
            made = manifest.read(folder)
            for path in made.paths(folder) if made else ():
                for batch in storage.iter_parquet(path):
                    for row in batch.filter(pc.is_in(batch["origin"], origins)).to_pylist():
                        known = latest.get(row["origin"])
                        if known is None or _rank(row) > _rank(known):
                            latest[row["origin"]] = row
        self._consents = {
            origin: OriginConsent([_answer(row)], settings, product)
            for origin, row in latest.items()
        }

    def consent(self, url: str) -> OriginConsent | None:
        """What the site of a page said; None if the tables do not know."""
        return self._consents.get(origin_of(url))

    def reason(self, url: str) -> str | None:
        """Why a page may not be used; None if nothing says so."""
        consent = self.consent(url)
        refused = consent.reason(url) if consent is not None else None
        return refused[0] if refused is not None else None


def _rank(row: Mapping[str, Any]) -> tuple[bool, str]:
    """An answer that is a file goes before others, a later one before earlier ones."""
    return row["status"] == 200, row["captured_at"] or ""


def _answer(row: Mapping[str, Any]) -> SiteFile:
    try:
        at = datetime.fromisoformat(row["captured_at"]).timestamp()
    except ValueError:
        at = 0.0
    return SiteFile(row["origin"], ROBOTS, row["status"], row["text"], at, row["problem"])
