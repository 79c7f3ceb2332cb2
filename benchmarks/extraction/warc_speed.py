"""Pages read a second on one core: our captures, checked and decoded, against warcio.

warcio does the same work: it parses the records and undoes the transfer and content encodings.
Raw FastWARC, which checks nothing, is in the JSON beside it. Processor time counts.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable

from fastwarc.warc import ArchiveIterator, WarcRecordType
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from benben.pipeline.archive.charset import decode_html
from benben.pipeline.archive.warc import Capture, read_captures
from benchmarks.support import figure
from benchmarks.support.data import WARC, archives

ROUNDS = 5


def ours(path: str) -> int:
    """Captures with their payloads."""
    return sum(isinstance(found, Capture) for found in read_captures(path))


def ours_as_text(path: str) -> int:
    """Captures, and their pages decoded to text."""
    captures = (found for found in read_captures(path) if isinstance(found, Capture))
    return sum(bool(decode_html(c.payload, c.headers.get("content-type"))) for c in captures)


def warcio(path: str) -> int:
    """Responses with their decoded bodies."""
    count = 0
    silence = contextlib.redirect_stderr(io.StringIO())  # it reports spaces in URLs
    with silence, open(path, "rb") as file:
        for record in WarcioIterator(file):
            if record.rec_type == "response":
                record.content_stream().read()
                count += 1
    return count


def fastwarc(path: str) -> int:
    """Responses with their bodies as archived."""
    count = 0
    for record in ArchiveIterator(path, record_types=WarcRecordType.response):
        record.reader.read()
        count += 1
    return count


def rates(readers: list[Callable[[str], int]], paths: list[str]) -> dict[str, float]:
    """Records a second of each reader: the best of some rounds, taken in turn."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for reader in readers:
            started = time.process_time()
            count = sum(reader(path) for path in paths)
            rate = count / (time.process_time() - started)
            best[reader.__name__] = max(best.get(reader.__name__, 0), rate)
    return best


def main() -> int:
    """Measure and report."""
    paths = [str(path) for path in archives()[:2]]
    if not paths:
        print(f"warc_speed: no archives under {WARC} (set BENBEN_SHARED)")
        return 2
    found = rates([ours, ours_as_text, warcio, fastwarc], paths)
    figure.report(
        "warc_speed",
        found["ours"],
        found["warcio"],
        unit="pages a second and core",
        rates=found,
        to_fastwarc=found["ours"] / found["fastwarc"],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
