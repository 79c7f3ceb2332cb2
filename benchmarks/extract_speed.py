"""Decoded HTML to scored nodes, pages a second on one core, against Lexbor's parse alone.

Every page is parsed and extracted in turn, once, so that noise and cold caches strike both alike.
resiliparse's main content and trafilatura, on some of the pages, are in the JSON beside it.
Processor time counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from selectolax.lexbor import LexborHTMLParser

from benchmarks import figure
from benchmarks.gold import SHARED
from pipeline import extract_page
from pipeline.archive.charset import decode_html
from pipeline.archive.warc import Capture, read_captures

ARCHIVES = 2
WARM_UP = 20  # pages: caches of class names as in a long run
TRAFILATURA_EVERY = 20  # it takes as long as fifty parses


def load(archives: int) -> list[tuple[str, str]]:
    """Decoded pages and their addresses."""
    pages = []
    for path in sorted((SHARED / "data" / "warc").glob("TEST-MAIN-*.warc.gz"))[:archives]:
        for found in read_captures(str(path)):
            if isinstance(found, Capture) and found.payload:
                html, _ = decode_html(found.payload, found.headers.get("content-type"))
                pages.append((html, found.url))
    return pages


def main() -> int:
    """Measure and report."""
    pages = load(ARCHIVES)
    if not pages:
        print(f"extract_speed: no archives under {SHARED}/data/warc (set BENBEN_SHARED)")
        return 2
    tools: dict[str, tuple[Callable[[str, str], object], int]] = {
        "parse": (lambda html, url: LexborHTMLParser(html), 1),
        "extract": (extract_page, 1),
        "resiliparse": (lambda html, url: extract_plain_text(html, main_content=True), 1),
        "trafilatura": (lambda html, url: trafilatura.extract(html), TRAFILATURA_EVERY),
    }
    seconds = dict.fromkeys(tools, 0.0)
    counts = dict.fromkeys(tools, 0)
    for number, (html, url) in enumerate(pages):
        for name, (work, every) in tools.items():
            if number % every:
                continue
            started = time.process_time()
            work(html, url)
            if number >= WARM_UP:
                seconds[name] += time.process_time() - started
                counts[name] += 1
    rates = {name: counts[name] / seconds[name] for name in tools}
    figure.report(
        "extract_speed",
        rates["extract"],
        rates["parse"],
        unit="pages a second and core",
        rates=rates,
        to_resiliparse=rates["extract"] / rates["resiliparse"],
        to_trafilatura=rates["extract"] / rates["trafilatura"],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
