"""Recall and order of the images that gold marks as content.

The value is the share of gold images among the nodes, the baseline all of them. Images of formulas,
which extraction writes as TeX, do not count. The JSON holds the recall after the content rule, the
order and what is missing.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from benben import extract_page
from benben.pipeline import url
from benben.pipeline.document import Node
from benben.pipeline.page import formulas
from benben.pipeline.page.dom.lexbor import parse
from benben.pipeline.page.image_url import best_candidate
from benchmarks.support import figure
from benchmarks.support.gold import Page, pages

SOURCES = ("readability", "llm-webkit-bench")
THRESHOLD = 0.5
_ADDRESS = re.compile(r"(?:src|srcset|data-[a-z-]+)$")


def gold_images(page: Page) -> Iterator[set[str]]:
    """Addresses by which each gold image may be known: file names, as hosts were replaced."""
    written = formula_names(page)
    return (names for names in _marked_images(page) if written.isdisjoint(names))


def formula_names(page: Page) -> set[str]:
    """Addresses of images for which extraction writes TeX."""
    tree = parse(page.html)
    written = formulas.find(tree.root)
    found: set[str] = set()
    for image in tree.css("img") if written else ():
        around: Any = image
        while around is not None and around.mem_id not in written:
            around = around.parent
        if around is not None:
            found |= _names(dict(image.attributes))
    return found


def _marked_images(page: Page) -> Iterator[set[str]]:
    if page.gold.get("gold_html"):
        for image in LexborHTMLParser(page.gold["gold_html"]).css("img"):
            found = _names(dict(image.attributes))
            if found:
                yield found
    for block in itertools.chain.from_iterable(page.gold.get("content_list") or []):
        if block.get("type") == "image":
            first = LexborHTMLParser(block.get("raw_content") or "").css_first("img")
            found = _names(dict(first.attributes)) if first else set()
            if found:
                yield found


def _names(attributes: dict[str, str | None]) -> set[str]:
    names = set()
    for key, value in attributes.items():
        if not value or not _ADDRESS.match(key) or value.strip().startswith("data:"):
            continue
        address = best_candidate(value) if "srcset" in key else value.strip()
        if address:
            names.add(name(address))
    return names


def name(address: str) -> str:
    """Path and query without the host, which the gold's makers replaced."""
    joined = url.parse_join("https://host.example/", address) or address
    return joined.split("://", 1)[-1].partition("/")[2]


def match(wanted: list[set[str]], nodes: list[Node]) -> list[int | None]:
    """Place of each gold image among the image nodes; each node serves one."""
    free = list(range(len(nodes)))
    known = [{name(n.url or ""), name(n.src or n.url or "")} for n in nodes]
    places: list[int | None] = []
    for names in wanted:
        hit = next(
            (place for place in free if any(_same(a, b) for a in known[place] for b in names)), None
        )
        if hit is not None:
            free.remove(hit)
        places.append(hit)
    return places


def _same(one: str, other: str) -> bool:
    return (
        one == other
        or (len(one) > 8 and other.endswith(one))
        or (len(other) > 8 and one.endswith(other))
    )


def kendall(places: list[int]) -> tuple[int, int]:
    """Concordant minus discordant pairs, and all pairs."""
    pairs = list(itertools.combinations(places, 2))
    return sum(1 if a < b else -1 for a, b in pairs), len(pairs)


def main() -> int:
    """Measure and report."""
    total = extracted = kept = order = pairs = with_images = 0
    missing: list[dict[str, Any]] = []
    for page in pages(SOURCES):
        wanted = list(gold_images(page))
        if not wanted:
            continue
        with_images += 1
        nodes = list(extract_page(page.html, page.url).images())
        places = match(wanted, nodes)
        hits = [place for place in places if place is not None]
        total += len(wanted)
        extracted += len(hits)
        kept += sum((nodes[place].content_score or 0) >= THRESHOLD for place in hits)
        concordant, all_pairs = kendall(hits)
        order, pairs = order + concordant, pairs + all_pairs
        missing += [
            {"page": page.name, "image": sorted(names)}
            for names, place in zip(wanted, places, strict=True)
            if place is None
        ]
    if not total:
        print("extract_images: no gold images (set BENBEN_SHARED)")
        return 2
    figure.report(
        "extract_images",
        extracted / total,
        1.0,
        pages=with_images,
        images=total,
        recall_after_content_rule=kept / total,
        kendall_tau=order / max(1, pairs),
        missing=missing,
    )
    print(f"after the content rule {kept / total:.3f}, order (Kendall tau) {order / pairs:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
