"""The gold data and its measures: main texts people marked on real pages."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benben.analysis.tuning.gold import tokens
from benben.pipeline import url
from benben.pipeline.archive import warc
from benben.pipeline.archive.charset import decode_html
from benchmarks.support.data import DATA, GOLD

HUMAN = ("wcxb-dev", "wcxb-train", "scrapinghub-aeb", "magic-html-article", "magic-html-forum")
OTHERS = ("newspaper", "readability", "llm-webkit-bench")
SNIPPETS = ("trafilatura-eval", "trafilatura-cache")
LABELLED = (*HUMAN, SNIPPETS[0])  # what the content score is trained on
_PIECE = re.compile(r"[^\W_]+|[^\w\s]|_")


@dataclass(slots=True)
class Page:
    """A page with its gold."""

    name: str
    source: str
    url: str
    html: str
    gold: dict[str, Any]

    @property
    def domain(self) -> str:
        """Registered domain: pages of one never lie on both sides of a split."""
        return url.domain(url.host(self.url)) or self.url

    @property
    def page_type(self) -> str:
        return self.gold.get("page_type") or "other"

    @property
    def text(self) -> str:
        return self.gold.get("gold_text") or ""


def pages(sources: Sequence[str]) -> Iterator[Page]:
    """Yield the pages of gold sets, decoded."""
    records = [record for source in sources for record in _records(source)]
    wanted: dict[str, dict[int, list[tuple[str, dict[str, Any]]]]] = {}
    for source, record in records:
        at = wanted.setdefault(record["warc"], {}).setdefault(int(record["offset"]), [])
        at.append((source, record))
    for archive, places in sorted(wanted.items()):
        for capture in warc.read_captures(str(DATA / archive)):
            if not isinstance(capture, warc.Capture) or capture.offset not in places:
                continue
            html, _ = decode_html(capture.payload, capture.headers.get("content-type"))
            for source, record in places[capture.offset]:
                yield Page(record["id"], source, record["url"], html, record)


def _records(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with gzip.open(GOLD / f"{source}.jsonl.gz", "rt") as lines:
        for line in lines:
            yield source, json.loads(line)


def token_f1(text: str, gold: str) -> float:
    """F1 of two texts as bags of tokens."""
    found, wanted = Counter(tokens(text)), Counter(tokens(gold))
    common = sum((found & wanted).values())
    return 2 * common / (sum(found.values()) + sum(wanted.values())) if common else 0.0


def rouge(text: str, gold: str, n: int = 5) -> float:
    """ROUGE-n (Lin 2004) as F1 of the n-grams of tokens; 1 for two texts without any."""
    found, wanted = _grams(tokens(text), n), _grams(tokens(gold), n)
    total = sum(found.values()) + sum(wanted.values())
    return 2 * sum((found & wanted).values()) / total if total else 1.0


def _grams(of: list[str], n: int) -> Counter[tuple[str, ...]]:
    """All runs of n tokens; of fewer tokens, the one that there is."""
    return Counter(zip(*(of[start:] for start in range(min(n, len(of)))), strict=False))


def edit_distance(text: str, gold: str) -> float:
    """Levenshtein distance of two texts in Markdown, as a share of the longer one; 0 for equal.

    Of words and single marks, whatever the white space. By bit vectors (Hyyro 2003, "A bit-vector
    algorithm for computing Levenshtein and Damerau edit distances").
    """
    found, wanted = (_PIECE.findall(one.lower()) for one in (text, gold))
    if not found or not wanted:
        return float(bool(found or wanted))
    where: dict[str, int] = {}
    for place, piece in enumerate(wanted):
        where[piece] = where.get(piece, 0) | 1 << place
    every, last = (1 << len(wanted)) - 1, 1 << len(wanted) - 1
    more, less, distance = every, 0, len(wanted)  # steps down a column of the matrix
    for piece in found:
        same = where.get(piece, 0)
        column = same | less
        row = ((same & more) + more ^ more) | same
        rises, falls = (less | ~(row | more)) & every, more & row
        distance += bool(rises & last) - bool(falls & last)
        rises, falls = rises << 1 | 1, falls << 1
        more, less = (falls | ~(column | rises)) & every, rises & column & every
    return distance / max(len(found), len(wanted))
