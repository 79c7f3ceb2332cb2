"""Two sets of rules on the same signals: what each keeps and the other drops, by which rule."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from analysis.tables import RunTables
from filters.decide import decide_batch
from filters.rule import read
from pipeline.settings.signals import RuleSettings

SAMPLES = 5


@dataclass
class Side:
    """Documents that one config keeps and the other drops."""

    documents: int = 0
    reasons: Counter[str] = field(default_factory=Counter)  # the other's first reason
    samples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # reason -> (rank, id)

    def add(self, doc_id: str, reason: str) -> None:
        """Count a document; a sample of each reason is chosen by a hash of ids."""
        self.documents += 1
        self.reasons[reason] += 1
        rank = hashlib.blake2b(doc_id.encode(), digest_size=8).hexdigest()
        chosen = [*self.samples.get(reason, []), (rank, doc_id)]
        self.samples[reason] = sorted(chosen)[:SAMPLES]


@dataclass
class Comparison:
    """Documents by which of two configs keeps them, and nodes of those both keep."""

    both: int = 0
    neither: int = 0
    only_a: Side = field(default_factory=Side)
    only_b: Side = field(default_factory=Side)
    node_reasons_a: Counter[str] = field(default_factory=Counter)  # dropped by A, not by B
    node_reasons_b: Counter[str] = field(default_factory=Counter)


def compare(batches: Iterable[pa.RecordBatch], a: RuleSettings, b: RuleSettings) -> Comparison:
    """Judge batches of SIGNALS by both."""
    result = Comparison()
    for signals in batches:
        _add(result, decide_batch(signals, a), decide_batch(signals, b))
    return result


def between(output: str, a: str, b: str) -> str:
    """Compare two configs by name or path on a run's signals. Raises InputError, ConfigError."""
    found = compare(RunTables(output).batches("signals"), read(a), read(b))
    return as_text(found, a, b)


def as_text(found: Comparison, a: str, b: str) -> str:
    """The comparison for a terminal; `a` and `b` are the configs' names."""
    lines = [f"both keep {found.both:,}, neither {found.neither:,}"]
    for side, keeper, other in ((found.only_a, a, b), (found.only_b, b, a)):
        lines.append(f"{keeper} keeps and {other} drops: {side.documents:,}")
        for reason, number in side.reasons.most_common():
            ids = " ".join(doc_id for _, doc_id in side.samples[reason])
            lines.append(f"  {number:>9,}  {reason:<44} such as {ids}")
    for reasons, dropper, other in (
        (found.node_reasons_a, a, b),
        (found.node_reasons_b, b, a),
    ):
        lines.append(f"nodes of documents both keep that {dropper} drops and {other} keeps:")
        lines += [f"  {number:>9,}  {reason}" for reason, number in reasons.most_common()]
    return "\n".join(lines)


def _add(result: Comparison, a: pa.RecordBatch, b: pa.RecordBatch) -> None:
    kept = [np.asarray(one.column("kept")) for one in (a, b)]
    result.both += int((kept[0] & kept[1]).sum())
    result.neither += int((~kept[0] & ~kept[1]).sum())
    for side, keeps, drops, dropper in (
        (result.only_a, kept[0], kept[1], b),
        (result.only_b, kept[1], kept[0], a),
    ):
        chosen = dropper.filter(pa.array(keeps & ~drops))
        for doc_id, reasons in zip(
            chosen.column("doc_id").to_pylist(), chosen.column("reasons").to_pylist(), strict=True
        ):
            side.add(doc_id, reasons[0])
    both = pa.array(kept[0] & kept[1])
    drops_a, drops_b = _drops(a.filter(both)), _drops(b.filter(both))
    result.node_reasons_a.update(drops_a[key] for key in drops_a.keys() - drops_b.keys())
    result.node_reasons_b.update(drops_b[key] for key in drops_b.keys() - drops_a.keys())


def _drops(verdicts: pa.RecordBatch) -> dict[tuple[int, int, int | None], str]:
    return {
        (row, one["index"], one["paragraph"]): one["reason"]
        for row, dropped in enumerate(verdicts.column("dropped").to_pylist())
        for one in dropped
    }
