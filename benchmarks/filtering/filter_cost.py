"""Cost of signals against extraction, CPU seconds a page: `python -m benchmarks.filter_cost`.

Prints `filter_cost` (all model-free signals, bar 1.0) and `filter_cost_language` (with language
identification, bar 1.3), and before them ms a page of what signals share and of the rest. Both
sides run interleaved, batch by batch; the best of the rounds counts.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from benben.filters.signal_table import measure_batch
from benben.filters.signals.text import Batch
from benben.pipeline import config, document, language
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.page.extract import extract_page
from benchmarks.support.data import WARC
from benchmarks.support.figure import report

BATCH, ROUNDS = 250, 3


def main(folder: str = str(WARC), pattern: str = "TEST-MAIN-*.warc.gz") -> None:
    """Measure the pages of a folder of archives."""
    settings = config.load("default", ["input=[x]"])
    captures = [
        found
        for path in sorted(Path(folder).glob(pattern))
        for found in read_captures(str(path))
        if isinstance(found, Capture) and not found.reason
    ]
    batches = [captures[start : start + BATCH] for start in range(0, len(captures), BATCH)]
    model = language.load(settings.signals.language_model)
    limit = settings.signals.language_chars
    extraction = signals = identification = 0.0
    parts: dict[str, float] = defaultdict(float)
    for batch in batches:
        best = [float("inf")] * 3
        least: dict[str, float] = {}
        for _ in range(ROUNDS):
            taken, documents = clock(partial(extract, batch, settings))
            rows = document.to_batch(batch, documents)
            texts = [page_text(nodes, limit) for nodes in rows.column("nodes").to_pylist()]
            measured, _ = clock(partial(measure_batch, rows, settings.signals))
            identified, _ = clock(partial(language.identify, texts, model))
            spent = by_part(rows, settings)
            least = {name: min(spent[name], least.get(name, spent[name])) for name in spent}
            best = [min(pair) for pair in zip(best, (taken, measured, identified), strict=True)]
        extraction, signals = extraction + best[0], signals + best[1]
        identification += best[2]
        for name, seconds in least.items():
            parts[name] += seconds
    pages = len(captures)
    for name, seconds in sorted(parts.items(), key=lambda part: -part[1]):
        print(f"{name:<32} {1000 * seconds / pages:7.3f} ms")
    base = 1000 * extraction / pages
    facts: dict[str, Any] = {"unit": "CPU ms a page", "pages": pages, "rounds": ROUNDS}
    report("filter_cost", 1000 * (signals - identification) / pages, base, bar=1.0, **facts)
    report("filter_cost_language", 1000 * signals / pages, base, bar=1.3, **facts)


def clock(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and its result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def by_part(rows: pa.RecordBatch, settings: Any) -> dict[str, float]:
    """CPU seconds of each part that signals share (`Batch.once`), and of all else together."""
    spent: dict[str, float] = defaultdict(float)
    inside = [0.0]  # seconds of the parts that each part still at work has asked for
    original = Batch.once

    @cache
    def timed(work: Callable[[Batch], Any]) -> Callable[[Batch], Any]:
        def call(asked: Batch) -> Any:
            inside.append(0.0)
            taken, found = clock(partial(work, asked))
            spent[f"{work.__module__.split('.')[-1]}.{work.__name__}"] += taken - inside.pop()
            inside[-1] += taken
            return found

        return call

    with patch.object(Batch, "once", lambda asked, work: original(asked, timed(work))):
        taken, _ = clock(partial(measure_batch, rows, settings.signals))
    return {**spent, "layout, columns": taken - inside[0]}


def extract(batch: list[Capture], settings: Any) -> list[Any]:
    """Payload bytes to nodes, as the stage does it."""
    return [extract_page(one.payload, one.url, one.headers, settings.extract) for one in batch]


def page_text(nodes: list[dict[str, Any]] | None, limit: int | None) -> str:
    """The text given to the language model."""
    texts = (node["text"] for node in nodes or [] if node["kind"] == "text")
    return "\n\n".join(texts)[:limit]


if __name__ == "__main__":
    main(*sys.argv[1:])
