"""Threshold what-if over 10 million rows: `python -m benchmarks.what_if`.

Prints `what_if`: seconds of a first question on all rules after load, against the bar of 2 s, and
`what_if_memory`: peak resident GB against the bar of 4.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from benben.analysis.tuning.what_if import SignalTable, WhatIf
from benben.pipeline import config
from benben.pipeline.settings.signals import Rule
from benchmarks.support.figure import report

ROWS, BAR_SECONDS, BAR_GB = 10_000_000, 2.0, 4.0


def main(rows: str = str(ROWS)) -> None:
    """Make a synthetic sheet of the default rules' signals, ask once, then move each threshold."""
    size, random = int(rows), np.random.default_rng(0)
    rules = dict(config.load("default", ["input=[x]"]).rules.document)
    scale = {name: rule.max or 2 * (rule.min or 1) for name, rule in rules.items()}
    values = {name: random.random(size, np.float32) * np.float32(scale[name]) for name in rules}
    language = random.integers(0, 4, size).astype(np.int16)
    sheet = SignalTable("document", values, ["en", "de", "zh", "ja"], language,
                  np.arange(size), np.full(size, -1, np.int32))  # fmt: skip
    questions = WhatIf(sheet)
    start = time.perf_counter()
    found = questions.effects(rules)
    first = time.perf_counter() - start
    moves = []
    for name, rule in rules.items():
        bounds = {**rule.model_dump(exclude_none=True), "max": scale[name] * 0.9}
        start = time.perf_counter()
        questions.effects({**rules, name: Rule.model_validate(bounds)})
        moves.append(time.perf_counter() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    facts = {"rows": size, "rules": len(rules), "kept": found.kept, "moves_seconds": moves}
    report("what_if", first, BAR_SECONDS, unit="s", **facts)
    report("what_if_memory", memory, BAR_GB, unit="GB", **facts)


if __name__ == "__main__":
    main(*sys.argv[1:])
