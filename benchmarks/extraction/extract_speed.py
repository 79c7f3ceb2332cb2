"""Decoded HTML to scored nodes, pages a second on one core, against Lexbor's parse alone.

Every page is parsed and extracted in turn, so that noise and cold caches strike both alike. The
pages are gone through several times, and of each page and tool the shortest processor time counts:
other work on the machine only ever adds to it. resiliparse's main content and trafilatura, on some
of the pages and once, are in the JSON beside it.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from selectolax.lexbor import LexborHTMLParser

from benben import extract_page
from benben.pipeline.archive.charset import decode_html
from benben.pipeline.archive.warc import Capture, read_captures
from benchmarks.support import figure
from benchmarks.support.data import WARC, archives

ARCHIVES = 2
WARM_UP = 20  # pages: caches of class names as in a long run
ROUNDS = 5
TRAFILATURA_EVERY = 20  # it takes as long as fifty parses


def load(number: int) -> list[tuple[str, str]]:
    """Decoded pages and their addresses."""
    pages = []
    for path in archives()[:number]:
        for found in read_captures(str(path)):
            if isinstance(found, Capture) and found.payload:
                html, _ = decode_html(found.payload, found.headers.get("content-type"))
                pages.append((html, found.url))
    return pages


def least_seconds(
    pages: Sequence[tuple[str, str]], tools: Mapping[str, Callable[[str, str], object]], rounds: int
) -> dict[str, float]:
    """Mean over the pages of each tool's shortest processor time, in seconds."""
    least = {name: [math.inf] * len(pages) for name in tools}
    for _ in range(rounds):
        for number, (html, url) in enumerate(pages):
            for name, work in tools.items():
                started = time.thread_time()
                work(html, url)
                least[name][number] = min(least[name][number], time.thread_time() - started)
    return {name: sum(times) / len(times) for name, times in least.items()}


def main() -> int:
    """Measure and report."""
    pages = load(ARCHIVES)
    if not pages:
        print(f"extract_speed: no archives under {WARC} (set BENBEN_SHARED)")
        return 2
    for html, url in pages[:WARM_UP]:
        extract_page(html, url)
    seconds = least_seconds(
        pages,
        {
            "parse": lambda html, url: LexborHTMLParser(html),
            "extract": extract_page,
        },
        ROUNDS,
    )
    seconds |= least_seconds(
        pages,
        {"resiliparse": lambda html, url: extract_plain_text(html, main_content=True)},
        1,
    )
    seconds |= least_seconds(
        pages[::TRAFILATURA_EVERY],
        {"trafilatura": lambda html, url: trafilatura.extract(html)},
        1,
    )
    rates = {name: 1 / mean for name, mean in seconds.items()}
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
