"""Threshold what-if over 10 million rows: `python -m benchmarks.what_if`.

Prints `what_if`: seconds of the slowest answer after a bound of a rule on documents was moved, with
10 million documents; and `what_if_nodes`: the same for rules on texts and images, with 10 million
of these; both against the bar of 1 s. An answer counts what each rule drops and what is kept, and
fills one histogram. Where a rule on nodes moves, an answer judges a part of the documents again in
which a verdict changes; the details tell how many they are, and how long it takes until all are.
`what_if_memory` is the peak of resident GB against the bar of 4.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa

from benben.analysis.tuning.app.bins import Histograms
from benben.analysis.tuning.app.site import SETTLE_SECONDS
from benben.analysis.tuning.labels import End, with_bound
from benben.analysis.tuning.replay import Replay, Stored
from benben.analysis.tuning.what_if import SignalTable, WhatIf
from benben.filters.declaration import Scope
from benben.filters.signal_table import SIGNALS, measure_batch
from benben.pipeline import config, schema
from benben.pipeline.settings import Config
from benben.pipeline.settings.signals import RuleSettings
from benchmarks.support.figure import report

ROWS, BAR_SECONDS, BAR_GB = 10_000_000, 1.0, 4.0
PAGES, NODES = 2_000, 30  # of made-up pages, which are repeated
MOVES: tuple[tuple[Scope, str, End, float], ...] = (
    ("text_node", "content_score", "min", 0.501),
    ("text_node", "content_score", "min", 0.51),
    ("text_node", "content_score", "min", 0.9),
    ("text_node", "words", "max", 30),
    ("text_node", "spam_word_ratio", "below", 0.15),
    ("image_node", "content_score", "min", 0.26),
    ("image_node", "content_score", "min", 0.5),
)


def main(rows: str = str(ROWS)) -> None:
    """Measure both, and report."""
    settings = config.load("default", ["input=[x]"])
    answers = documents(int(rows), settings.rules)
    slowest = max(one["answer"] for one in answers)
    report("what_if", slowest, BAR_SECONDS, unit="s", rows=int(rows), moves=answers)
    moves = nodes(int(rows), settings)
    slowest = max(one["answer"] for one in moves)
    report("what_if_nodes", slowest, BAR_SECONDS, unit="s", rows=int(rows), moves=moves)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    report("what_if_memory", memory, BAR_GB, unit="GB", rows=int(rows))


def documents(size: int, rules: RuleSettings) -> list[dict[str, Any]]:
    """Seconds of an answer after each rule of documents has moved, and of the processor for it."""
    draw = np.random.default_rng(0)
    judged = dict(rules.document)
    scale = {name: rule.max or 2 * (rule.min or 1) for name, rule in judged.items()}
    values: dict[str, Any] = {
        name: draw.random(size, np.float32) * np.float32(scale[name]) for name in judged
    }
    language = draw.integers(0, 4, size).astype(np.int16)
    table = SignalTable("document", values, ["en", "de", "zh", "ja"], language,
                  np.arange(size), np.full(size, -1, np.int32))  # fmt: skip
    what_if, found = WhatIf(table), []
    what_if.effects(judged, pairs=False)
    for name in judged:
        moved = {**judged, name: with_bound(judged[name], "max", scale[name] * 0.9)}
        start, used = time.perf_counter(), time.process_time()
        what_if.effects(moved, pairs=False)
        what_if.kept(moved)
        found.append({"rule": name, "answer": time.perf_counter() - start,
                      "processor": time.process_time() - used})  # fmt: skip
    return found


def nodes(size: int, settings: Config) -> list[dict[str, Any]]:
    """Seconds of the first answer after each move, and until all documents are judged again."""
    replay = Replay(Stored(repeated(size, settings)), settings.rules)
    charts, found = Histograms(replay), []
    for scope, name, *_ in MOVES:
        charts.of(scope, name, "", None)
    for scope, name, end, bound in MOVES:
        some = getattr(replay.rules, scope)
        rules = {**some, name: with_bound(some[name], end, bound)}
        start, used = time.perf_counter(), time.process_time()
        again = replay.move(replay.rules.model_copy(update={scope: rules}), later=True)
        left = replay.settle(SETTLE_SECONDS)
        answer(replay, charts, scope, name)
        first, processor = time.perf_counter() - start, time.process_time() - used
        while left:
            left = replay.settle(SETTLE_SECONDS)
        found.append({"rule": f"{scope}.{name}", "answer": first, "processor": processor,
                      "documents_again": again,
                      "all": time.perf_counter() - start})  # fmt: skip
    return found


def answer(replay: Replay, charts: Histograms, scope: Scope, name: str) -> None:
    """Count what the page shows after a move."""
    for one in replay.tables:
        replay.ships(one).sum()
    replay.what_if[scope].effects(getattr(replay.rules, scope), pairs=False)
    charts.of(scope, name, "", None)


def repeated(size: int, settings: Config) -> pa.RecordBatch:
    """Signals of made-up pages, repeated until they have `size` texts and images."""
    draw = random.Random(1)
    words = [f"w{number}" for number in range(500)] + ["the", "and", "of", "share", "log"] * 40
    pages = [
        {"doc_id": str(number), "url": "https://e.com/", "nodes": _nodes(draw, words)}
        for number in range(PAGES)
    ]
    batch = pa.RecordBatch.from_pylist(pages, schema=schema.DOCUMENTS)
    signals = measure_batch(batch, settings.signals)
    whole = pa.concat_batches([signals] * -(-size // (PAGES * NODES)))
    return whole.cast(SIGNALS)


def _nodes(draw: random.Random, words: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index in range(NODES):
        node: dict[str, Any] = {"index": index, "link_share": 0.0, "content_score": draw.random()}
        if draw.random() < 0.15:
            node |= {"kind": "image", "url": f"https://e.com/{draw.random()}.jpg"}
        else:
            text = " ".join(draw.choices(words, k=draw.randint(1, 40)))
            node |= {"kind": "text", "text": text, "tag": draw.choice(["h2", "p", "p", "li"])}
        found.append(node)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
