"""Verdicts derived again from the receipts of a run: `python -m benchmarks.consent_receipts`.

Serves the manual pages of the test data with mixed signals for and against use, in each way that a
site has: robots.txt with groups and usage preferences, tdmrep.json, ai.txt, header lines; pages are
judged by a table that `benben robots` made of a captured robots.txt. Runs the stages up to `fetch`
without other rules, then `benben verify --consent`. Prints receipts that are right of all, then,
with one character of each receipt changed, those that are noticed of all; it fails if one is wrong.
"""

from __future__ import annotations

import gzip
import random
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benben.analysis.provenance import consent
from benben.analysis.tables import RunTables
from benben.jobs import stages
from benben.jobs.commands import robots
from benben.jobs.engine.stage import Run
from benben.pipeline import config
from benben.pipeline.consent.site_files import AI_TXT, ROBOTS, TDMREP
from benben.pipeline.schema import CONSENT
from benchmarks.runs.chain import PORT, SITE_ARCHIVE
from benchmarks.support.data import DATA
from benchmarks.support.figure import report

ROBOTS_TXT = b"""User-agent: *
Disallow: /*e.png$
Disallow: /*s.html$
Allow: /*le.png$
Content-Usage: /*w.png$ train-ai=n
Content-Signal: /*x.png$ search=yes, ai-train=no

User-agent: GPTBot
Disallow: /*o.png$

User-agent: a-search-engine
Disallow: /
"""
FILES = {
    ROBOTS: ROBOTS_TXT,
    TDMREP: b'[{"location": "/*t.png$", "tdm-reservation": 1}]',
    AI_TXT: b"User-Agent: *\nDisallow: /*l.png$\n",
}
HEADERS = (  # by the hash of the path
    ("X-Robots-Tag", "noai"),
    ("X-Robots-Tag", "otherbot: noindex, noai"),
    ("X-Robots-Tag", "max-snippet:-1, max-image-preview:large"),
    ("TDM-Reservation", "1"),
    ("TDM-Reservation", "0"),
    ("Content-Usage", "train-ai=n"),
    ("Content-Signal", "ai-train=yes"),
)
LEFT_OUT = ("captures", "pictures", "redecide", "split", "assemble", "report")


class Site(SimpleHTTPRequestHandler):
    """Serves a folder, the files of consent, and a header line for some paths."""

    def do_GET(self) -> None:
        """Send a file of consent, or a file of the folder."""
        body = FILES.get(self.path)
        if body is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        super().end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        """Add the header line of the path."""
        number = zlib.crc32(self.path.encode()) % (4 * len(HEADERS))
        if number < len(HEADERS):
            self.send_header(*HEADERS[number])
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """Serve a folder on the port that the archive's pages name."""
    handler = partial(Site, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", PORT), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def write_robots_archive(path: Path) -> None:
    """Write an archive that holds the site's robots.txt, as a crawl captures it."""
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + ROBOTS_TXT
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\n"
        f"WARC-Target-URI: http://127.0.0.1:{PORT}{ROBOTS}\r\nWARC-Date: 2026-10-01T00:00:00Z\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    path.write_bytes(gzip.compress(head.encode() + block + b"\r\n\r\n"))


def run_to_fetch(folder: Path) -> RunTables:
    """Run all stages up to `fetch`, with the opt-outs as the only rule."""
    archive, table = folder / "robots.warc.gz", folder / "robots"
    write_robots_archive(archive)
    robots.build([str(archive)], str(table))
    host = f"['127.0.0.1:{PORT}']"
    overrides = [
        *(f"input=[{SITE_ARCHIVE}]", f"output={folder}/run", f"robots=[{table}]"),
        *(f"fetch.allow_hosts={host}", f"fetch.politeness.unlimited_hosts={host}"),
        "rules.document={opt_outs: {max: 0}}",
    ]
    run = Run(config.load("no_rules", overrides))
    for name in stages.STAGES:
        if name not in LEFT_OUT:
            run.execute(stages.load(name))
    return RunTables(str(folder / "run"))


def change_each(tables: RunTables) -> int:
    """Change one character of each receipt of a run; return the number of receipts."""
    chosen, number = random.Random(1), 0
    for paths in tables.paths("consent").values():
        for path in paths:
            rows = pq.read_table(path, partitioning=None).to_pylist()
            changed = pa.Table.from_pylist([spoiled(row, chosen) for row in rows], CONSENT)
            pq.write_table(changed, path)
            number += len(rows)
    return number


def spoiled(row: dict[str, Any], chosen: random.Random) -> dict[str, Any]:
    """A receipt with one character changed, of a text chosen by chance."""
    names = [name for name, value in row.items() if isinstance(value, str) and value]
    name = chosen.choice(names)
    place = chosen.randrange(len(row[name]))
    other = chr(ord(row[name][place]) ^ 1)
    return {**row, name: f"{row[name][:place]}{other}{row[name][place + 1 :]}"}


def main() -> None:
    """Run, verify, change, verify."""
    if not SITE_ARCHIVE.exists():
        sys.exit(f"consent_receipts: {SITE_ARCHIVE} is missing (set BENBEN_SHARED)")
    with tempfile.TemporaryDirectory() as folder:
        with served(DATA / "site" / "www"):
            tables = run_to_fetch(Path(folder))
        rows = [row for batch in tables.batches("consent") for row in batch.to_pylist()]
        reasons = Counter(f"{row['kind']}: {row['reason']}" for row in rows)
        found = list(consent.verify(tables))
        right = sum(not problem for _, problem in found)
        report("consent_receipts", right, len(found), bar=1.0, verdicts=dict(reasons))
        for verdict, number in reasons.most_common():
            print(f"{number:9,}  {verdict}")
        total = change_each(tables)
        changed = "does not fit its digest: it was changed"
        noticed = sum(problem == changed for _, problem in consent.verify(tables))
        report("consent_receipts_changed", noticed, total, bar=1.0)
        sys.exit(right != len(found) or noticed != total)


if __name__ == "__main__":
    main()
