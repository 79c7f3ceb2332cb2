"""The gold data and its measures: main texts people marked on real pages."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benben.pipeline import url
from benben.pipeline.archive import warc
from benben.pipeline.archive.charset import decode_html
from benchmarks.support.data import DATA, GOLD

HUMAN = ("wcxb-dev", "wcxb-train", "scrapinghub-aeb", "magic-html-article", "magic-html-forum")
OTHERS = ("newspaper", "readability", "llm-webkit-bench")
SNIPPETS = ("trafilatura-eval", "trafilatura-cache")
LABELLED = (*HUMAN, SNIPPETS[0])  # what the content score is trained on
# A token is a run of letters and digits, or one character of a script without spaces.
_TOKEN = re.compile(
    "[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\\W_]+", re.UNICODE
)


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


def tokens(text: str) -> list[str]:
    """Lower-case tokens."""
    return _TOKEN.findall(text.lower())


def token_f1(text: str, gold: str) -> float:
    """F1 of two texts as bags of tokens."""
    found, wanted = Counter(tokens(text)), Counter(tokens(gold))
    common = sum((found & wanted).values())
    return 2 * common / (sum(found.values()) + sum(wanted.values())) if common else 0.0


def common_tokens(found: Sequence[str], wanted: Sequence[str]) -> list[bool]:
    """Tell which of `found` lie in a longest common subsequence with `wanted`.

    Bit-parallel (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"), with the rows kept
    for the way back.
    """
    places: dict[str, int] = {}
    for place, token in enumerate(wanted):
        places[token] = places.get(token, 0) | 1 << place
    full = (1 << len(wanted)) - 1
    row, rows = full, []
    for token in found:
        match = row & places.get(token, 0)
        row = (row + match | row - match) & full
        rows.append(row)
    chosen = [False] * len(found)
    width = len(wanted)
    for place in range(len(found) - 1, -1, -1):
        steps = ~rows[place] & (1 << width) - 1
        if not steps:
            break
        width = steps.bit_length()
        if (rows[place - 1] if place else full) >> width - 1 & 1:
            chosen[place] = True
            width -= 1
    return chosen
