"""robots.txt as a crawl captured it, for pages: a table of answers, and their verdicts on pages.

Common Crawl ships the robots.txt files of each crawl as archives (robotstxt.paths.gz). The command
`benben robots` turns them into rows of ROBOTS; pages whose site's answer disallows them are refused
as images are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import pyarrow as pa

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
# Common Crawl's folder of archives in which every response answers a request for a robots.txt, also
# those that redirects led to, whatever their path.
FOLDER = "/robotstxt/"
REDIRECTS = frozenset((301, 302, 303, 307, 308))


def read_robots(source: Source, start: int, end: int, limit: int) -> Iterator[pa.RecordBatch]:
    """Rows of ROBOTS of a stretch of an archive: answers to requests for robots.txt.

    At most `limit` bytes of each are read.
    """
    rows: list[dict[str, Any]] = []
    everything = FOLDER in f"/{source.name}"
    for record in read_records(Window(source), start, end):
        if isinstance(record, Record) and record.head.kind == "response":
            url = _plain(record.head.url)
            if everything or url.partition("?")[0] == robots_url(url):
                rows.append(_row(record, url, limit))
        if len(rows) == BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
            rows = []
    yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def robots_url(url: str) -> str:
    """Address of the robots.txt that holds for a URL."""
    return f"{origin_of(url)}{ROBOTS}"


def _plain(url: str) -> str:
    """A URL as requests for it are compared: its origin, path and query."""
    parts = urlsplit(url)
    return f"{origin_of(url)}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def _row(record: Record, url: str, limit: int) -> dict[str, Any]:
    block = record.window.take(record.at, min(record.head.length, limit + HTTP_HEAD))
    message = parse_response(block)
    body, headers = block[message.body_at :], message.headers
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = dechunk(body)
    text, problem = read_text(body, headers.get("content-encoding", ""), limit)
    found = message.status is not None and 200 <= message.status < 300
    return {
        "url": url,
        "captured_at": record.head.date,
        "status": message.status,
        "location": _location(url, headers) if message.status in REDIRECTS else None,
        "text": text if found else "",
        "problem": problem,
    }


def _location(url: str, headers: Mapping[str, str]) -> str | None:
    """Where a redirect leads; to itself if that is no address, so that it leads to no answer."""
    location = headers.get("location", "").strip()
    try:
        return _plain(urljoin(url, location)) if location else None
    except ValueError:
        return url


def identities(tables: Iterable[str]) -> dict[str, str]:
    """The ids of tables, so that a stage runs again when one changes. Raises InputError."""
    found = {}
    for folder in tables:
        found[f"robots {folder.rstrip('/').rpartition('/')[2]}"] = _made(folder).id
    return found


def files(tables: Iterable[str]) -> list[str]:
    """The files of tables. Raises InputError, also for a table of other columns."""
    found: list[str] = []
    for folder in tables:
        paths = _made(folder).paths(folder)
        if paths and storage.footer(paths[0]).schema.names != SCHEMA.names:
            raise InputError(f"{folder}: an earlier version made this; use `benben robots` again")
        found += paths
    return found


def rows(tables: Iterable[str]) -> int:
    """The number of rows of tables. Raises InputError."""
    return sum(_made(folder).rows for folder in tables)


def _made(folder: str) -> manifest.Manifest:
    made = manifest.read(folder)
    if made is None:
        raise InputError(f"{folder}: no table of robots.txt; make it with `benben robots`")
    return made


class PageRobots:
    """The captured answers of the origins of some pages, and what they say of the pages."""

    def __init__(
        self, answers: Iterable[Mapping[str, Any]], settings: ConsentSettings, product: str
    ) -> None:
        self._consents = {
            row["origin"]: OriginConsent([_answer(row)], settings, product) for row in answers
        }

    @classmethod
    def read(cls, path: str | None, settings: ConsentSettings, product: str) -> PageRobots:
        """Read a part's file of PAGE_ROBOTS; without a file, no answer is known."""
        rows = storage.read_parquet(path).to_pylist() if path else []
        return cls(rows, settings, product)

    def consent(self, url: str) -> OriginConsent | None:
        """What the site of a page said; None if the tables do not know."""
        return self._consents.get(origin_of(url))

    def reason(self, url: str) -> str | None:
        """Why a page may not be used; None if nothing says so."""
        consent = self.consent(url)
        refused = consent.reason(url) if consent is not None else None
        return refused[0] if refused is not None else None


def _answer(row: Mapping[str, Any]) -> SiteFile:
    try:
        at = datetime.fromisoformat(row["captured_at"] or "").timestamp()
    except ValueError:
        at = 0.0
    text = row["text"] or ""
    return SiteFile(row["origin"], ROBOTS, row["status"], text, at, row["problem"])
