"""Where the checkout and the real test data lie: the folder BENBEN_SHARED, or `../shared`."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("BENBEN_SHARED", ROOT.parent / "shared"))
DATA = SHARED / "data"
WARC, GOLD = DATA / "warc", DATA / "gold"


def archives(pattern: str = "TEST-MAIN-*.warc.gz") -> list[Path]:
    """Return the archives of real pages, sorted; none where the data is absent."""
    return sorted(WARC.glob(pattern))
