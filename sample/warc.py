"""Write captures as WARC files, with the paths and records of a Common Crawl release."""

from __future__ import annotations

import gzip
import io
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from benben.sample.page import Capture

CRAWL = "BENBEN-SAMPLE-2026-45"
SEGMENT = f"crawl-data/{CRAWL}/segments/1793491200000.1/warc"
NAME = "BENBEN-SAMPLE-20261101000000-20261101030000-{:05d}.warc.gz"
AGENT = "BenbenSampleBot/1.0"
NAMESPACE = uuid.UUID("6f1f6a0e-9c5b-4f0e-8f43-5a0d3d5b7c11")


def write_crawl(out: Path, captures: Sequence[Capture], base: str) -> list[Path]:
    """Write one file per shard and the path list of the crawl; returns the files' paths.

    `base` is the http://host:port of the site.
    """
    folder = out / SEGMENT
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for shard in sorted({capture.shard for capture in captures}):
        path = folder / NAME.format(shard)
        captures_of_shard = [capture for capture in captures if capture.shard == shard]
        with path.open("wb") as stream:
            _Writer(stream, path.name, base).write(captures_of_shard)
        paths.append(path)
    listing = "".join(f"{SEGMENT}/{path.name}\n" for path in paths).encode()
    packed = gzip.compress(listing, mtime=0)
    (out / "crawl-data" / CRAWL / "warc.paths.gz").write_bytes(packed)
    return paths


class _Writer:
    """One WARC file, with a gzip member for each record; ids and dates derive from the content."""

    def __init__(self, stream: io.BufferedIOBase, name: str, base: str) -> None:
        self.writer = WARCWriter(stream, gzip=True)
        self.name, self.base = name, base
        self.info = _record_id(name)

    def write(self, captures: Sequence[Capture]) -> None:
        fields = (
            f"isPartOf: {CRAWL}\r\npublisher: Benben\r\n"
            "description: Sample site of the Benben project\r\n"
            "robots: checked\r\nsoftware: sample.build\r\nformat: WARC File Format 1.0\r\n"
        )
        headers = {"WARC-Date": "2026-11-01T00:00:00Z", "WARC-Filename": self.name}
        self._record("warcinfo", self.info, headers, "application/warc-fields", fields.encode())
        for place, capture in enumerate(captures):
            self._capture(place, capture)

    def _capture(self, place: int, capture: Capture) -> None:
        second = place % 86_400
        clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        url = f"{self.base}/{capture.path}"
        date = f"2026-11-{capture.day:02d}T{clock}Z"
        request, response = (_record_id(f"{kind} {url} {date}") for kind in ("request", "response"))
        common = {"WARC-Date": date, "WARC-Warcinfo-ID": self.info, "WARC-Target-URI": url}
        linked = {**common, "WARC-Concurrent-To": response}
        request_headers = {**linked, "WARC-IP-Address": "127.0.0.1"}
        self._record(
            "request",
            request,
            request_headers,
            "application/http; msgtype=request",
            b"",
            _request_head(url),
        )
        self._record(
            "response",
            response,
            {
                **common,
                "WARC-Concurrent-To": request,
                "WARC-IP-Address": "127.0.0.1",
                "WARC-Identified-Payload-Type": capture.headers["Content-Type"].partition(";")[0],
            },
            "application/http; msgtype=response",
            capture.body,
            _response_head(capture),
        )
        notes = f"fetchTimeMs: {10 + place % 7}\r\ncharset-detected: utf-8\r\n".encode()
        metadata = _record_id(f"metadata {url} {date}")
        self._record("metadata", metadata, linked, "application/warc-fields", notes)

    def _record(
        self,
        kind: str,
        identifier: str,
        headers: dict[str, str],
        content_type: str,
        body: bytes,
        http: StatusAndHeaders | None = None,
    ) -> None:
        record = self.writer.create_warc_record(
            headers.get("WARC-Target-URI"),
            kind,
            payload=io.BytesIO(body),
            length=len(body),
            warc_content_type=content_type,
            warc_headers_dict={"WARC-Record-ID": identifier, **headers},
            http_headers=http,
        )
        self.writer.write_record(record)


def _record_id(key: str) -> str:
    return f"<urn:uuid:{uuid.uuid5(NAMESPACE, key)}>"


def _request_head(url: str) -> StatusAndHeaders:
    host, _, path = url.split("://", 1)[1].partition("/")
    headers = [("User-Agent", AGENT), ("Accept", "text/html,*/*;q=0.8"), ("Host", host)]
    return StatusAndHeaders(f"GET /{path} HTTP/1.1", headers, is_http_request=True)


def _response_head(capture: Capture) -> StatusAndHeaders:
    status = HTTPStatus(capture.status)
    headers = [*capture.headers.items(), ("Content-Length", str(len(capture.body)))]
    return StatusAndHeaders(f"{status.value} {status.phrase}", headers, protocol="HTTP/1.1")
