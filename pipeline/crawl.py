"""Where an archive stands in its crawl: what readers of OBELICS fetch a page again by."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Common Crawl's paths: crawl-data/CC-MAIN-2024-22/segments/.../warc/NAME.warc.gz
_PLACE = re.compile(r"(?:^|/)(crawl-data/([^/]+)/.+)$")


def places(urls: Iterable[str]) -> dict[str, str]:
    """Name of an archive -> its path from `crawl-data/` on, for the archives that have one."""
    found = ((url.rsplit("/", 1)[-1], _PLACE.search(url)) for url in urls)
    return {name: match[1] for name, match in found if match}


def dump(path: str) -> str | None:
    """The release an archive's path names, such as CC-MAIN-2024-22; None when it names none."""
    match = _PLACE.search(path)
    return match[2] if match else None
