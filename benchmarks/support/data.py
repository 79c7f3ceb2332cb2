"""Where the checkout and the real test data lie: the folder BENBEN_SHARED, or `../shared`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from warcio.archiveiterator import ArchiveIterator

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("BENBEN_SHARED", ROOT.parent / "shared"))
DATA = SHARED / "data"
WARC, GOLD = DATA / "warc", DATA / "gold"


def archives(pattern: str = "TEST-MAIN-*.warc.gz") -> list[Path]:
    """Return the archives of real pages, sorted; none where the data is absent."""
    return sorted(WARC.glob(pattern))


def pages(paths: Sequence[Path]) -> int:
    """Count the pages of archives: their response records, as warcio reads them."""
    total = 0
    for path in paths:
        with open(path, "rb") as stream:
            total += sum(record.rec_type == "response" for record in ArchiveIterator(stream))
    return total
