"""Compare two configs' rules on the same signals: what one keeps and the other drops, and why."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from benben.analysis.tables import RunTables
from benben.filters.decide import decide_batch
from benben.filters.signal_table import read_rules
from benben.pipeline.settings.signals import RuleSettings

SAMPLES = 5


@dataclass
class Side:
    """Documents or nodes that one config keeps and the other drops."""

    number: int = 0
    reasons: Counter[str] = field(default_factory=Counter)  # first reason of the config that drops
    samples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # reason -> (rank, id)

    def add(self, name: str, reason: str) -> None:
        """Count one; the sample of each reason is chosen by a hash of the names."""
        self.number += 1
        self.reasons[reason] += 1
        rank = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        chosen = [*self.samples.get(reason, []), (rank, name)]
        self.samples[reason] = sorted(chosen)[:SAMPLES]

    def lines(self) -> list[str]:
        """A line for each reason: the number and a sample."""
        return [
            f"  {number:>9,}  {reason:<44} such as "
            + " ".join(name for _, name in self.samples[reason])
            for reason, number in self.reasons.most_common()
        ]


@dataclass
class Comparison:
    """How many documents each of two configs keeps, and which nodes of documents that both keep."""

    both: int = 0
    neither: int = 0
    only_a: Side = field(default_factory=Side)
    only_b: Side = field(default_factory=Side)
    nodes_a: Side = field(default_factory=Side)  # dropped by A and not by B; named DOCUMENT:INDEX
    nodes_b: Side = field(default_factory=Side)


def compare(batches: Iterable[pa.RecordBatch], a: RuleSettings, b: RuleSettings) -> Comparison:
    """Apply both sets of rules to batches of SIGNALS."""
    result = Comparison()
    for signals in batches:
        _add(result, decide_batch(signals, a), decide_batch(signals, b))
    return result


def between(output: str, a: str, b: str) -> str:
    """Compare two configs, given by name or path, on a run's signals; returns lines of text.

    Raises InputError when there is no run and ConfigError when a config is not valid.
    """
    found = compare(RunTables(output).batches("signals"), read_rules(a), read_rules(b))
    return as_text(found, a, b)


def as_text(found: Comparison, a: str, b: str) -> str:
    """The comparison as text; `a` and `b` are the names of the configs."""
    lines = [f"both keep {found.both:,}, neither {found.neither:,}"]
    for side, keeper, other in ((found.only_a, a, b), (found.only_b, b, a)):
        lines += [f"{keeper} keeps and {other} drops: {side.number:,}", *side.lines()]
    for side, dropper, other in ((found.nodes_a, a, b), (found.nodes_b, b, a)):
        head = f"nodes that {dropper} drops and {other} keeps, in documents that both keep"
        lines += [f"{head}: {side.number:,}", *side.lines()]
    return "\n".join(lines)


def _add(result: Comparison, a: pa.RecordBatch, b: pa.RecordBatch) -> None:
    kept = [np.asarray(one.column("kept")) for one in (a, b)]
    result.both += int((kept[0] & kept[1]).sum())
    result.neither += int((~kept[0] & ~kept[1]).sum())
    for side, keeps, also_keeps, dropper in (
        (result.only_a, kept[0], kept[1], b),
        (result.only_b, kept[1], kept[0], a),
    ):
        chosen = dropper.filter(pa.array(keeps & ~also_keeps))
        for doc_id, reasons in zip(
            chosen.column("doc_id").to_pylist(), chosen.column("reasons").to_pylist(), strict=True
        ):
            side.add(doc_id, reasons[0])
    both = pa.array(kept[0] & kept[1])
    names = a.filter(both).column("doc_id").to_pylist()
    drops_a, drops_b = _drops(a.filter(both)), _drops(b.filter(both))
    for side, drops, others in (
        (result.nodes_a, drops_a, drops_b),
        (result.nodes_b, drops_b, drops_a),
    ):
        for place, reason in drops.items():
            if place not in others:
                side.add(f"{names[place[0]]}:{place[1]}", reason)


def _drops(verdicts: pa.RecordBatch) -> dict[tuple[int, int, int | None], str]:
    return {
        (row, one["index"], one["paragraph"]): one["reason"]
        for row, dropped in enumerate(verdicts.column("dropped").to_pylist())
        for one in dropped
    }
