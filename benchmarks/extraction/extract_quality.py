"""Main text against what people marked: token F1 beside trafilatura and resiliparse.

    python -m benchmarks.extract_quality             models cross-validated by domain (minutes)
    python -m benchmarks.extract_quality --shipped   the shipped weights: for gold they never saw

The value is our mean token F1 on the human gold, the baseline trafilatura's on the same pages. The
JSON holds bootstrap intervals, page types, languages, sets, and the snippets texts must and must
not hold.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import trafilatura
from resiliparse.extract.html2text import extract_plain_text

from benben import extract_page
from benchmarks.extraction.content_score_data import rows
from benchmarks.extraction.train_content_score import cross_validate
from benchmarks.support import figure
from benchmarks.support.cache import cached
from benchmarks.support.data import GOLD
from benchmarks.support.gold import HUMAN, LABELLED, SNIPPETS, Page, pages, token_f1

RESAMPLES = 1000


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """95% bootstrap interval of a mean over pages."""
    random = np.random.default_rng(0)
    values = np.asarray(differences)
    means = values[random.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def peers(sources: Sequence[str]) -> dict[str, dict[str, str]]:
    """Main text of each page by the peers, kept between runs."""
    versions = [f"{name} {version(name)}" for name in ("trafilatura", "resiliparse")]
    gold = [GOLD / f"{source}.jsonl.gz" for source in sources]
    return cached("peers", [*versions, *gold], lambda: {p.name: _peers(p) for p in pages(sources)})


def _peers(page: Page) -> dict[str, str]:
    return {
        "trafilatura": trafilatura.extract(page.html) or "",
        "resiliparse": extract_plain_text(page.html, main_content=True),
    }


def f1_of_tools(texts: Mapping[str, str], gold: str) -> dict[str, float]:
    """Token F1 of each tool's text."""
    return {tool: token_f1(text, gold) for tool, text in texts.items()}


def breakdown(found: Sequence[tuple[Page, dict[str, float]]]) -> dict[str, Any]:
    """Mean F1 of every tool by page type, language and set."""
    groups: dict[str, list[dict[str, float]]] = defaultdict(list)
    for page, scores in found:
        for group in (
            f"type:{page.page_type}",
            f"lang:{page.gold.get('lang')}",
            f"set:{page.source}",
        ):
            groups[group].append(scores)
    return {
        group: {"pages": len(members)}
        | {tool: float(np.mean([scores[tool] for scores in members])) for tool in members[0]}
        for group, members in sorted(groups.items())
    }


def snippet_accuracy(
    ours: Mapping[str, str], others: Mapping[str, Mapping[str, str]]
) -> dict[str, float]:
    """Share of `with` snippets found and `without` snippets left out, of ours and trafilatura's."""
    right: dict[str, int] = defaultdict(int)
    total = 0
    for page in pages(SNIPPETS[:1]):
        texts = {
            "ours": ours.get(page.name, ""),
            "trafilatura": others[page.name]["trafilatura"],
        }
        for key, wanted in (("with", True), ("without", False)):
            for snippet in page.gold.get(key) or []:
                total += 1
                for tool, text in texts.items():
                    right[tool] += (_plain(snippet) in _plain(text)) == wanted
    return {tool: number / total for tool, number in right.items()}


def _plain(text: str) -> str:
    return " ".join(text.split())


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--shipped", action="store_true", help="test the shipped weights as they are"
    )
    shipped = parser.parse_args().shipped
    if not GOLD.is_dir():
        print(f"extract_quality: no gold data under {GOLD} (set BENBEN_SHARED)")
        return 2
    gold = [page for page in pages(HUMAN) if page.text]
    if shipped:
        ours = {p.name: extract_page(p.html, p.url).main_text() for p in pages(LABELLED)}
    else:
        ours = {page.page.page.name: page.text for page in cross_validate(rows(LABELLED))}
    others = peers(LABELLED)
    found = [
        (page, f1_of_tools({"ours": ours.get(page.name, ""), **others[page.name]}, page.text))
        for page in gold
    ]
    means = {tool: float(np.mean([s[tool] for _, s in found])) for tool in found[0][1]}
    margins = [scores["ours"] - scores["trafilatura"] for _, scores in found]
    details = breakdown(found)
    empty = [page.name for page in gold if not ours.get(page.name)]
    snippets = snippet_accuracy(ours, others)
    figure.report(
        "extract_quality",
        means["ours"],
        means["trafilatura"],
        unit="token F1",
        pages=len(found),
        means=means,
        interval=interval([scores["ours"] for _, scores in found]),
        margin_interval=interval(margins),
        groups=details,
        snippets=snippets,
        empty=empty,
    )
    for group, values in details.items():
        if group.startswith(("type:", "set:", "lang:zh")):
            print("  " + group, *(f"{k} {v:.3f}" for k, v in values.items()))
    print(f"  margin {interval(margins)}, snippets {snippets}, pages without text {len(empty)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
