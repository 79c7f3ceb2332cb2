"""The funnel: what each stage of a run kept and rejected, by reason.

It is read from the manifests alone, so it covers the whole run, however large.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from benben.pipeline import manifest, storage
from benben.pipeline.manifest import Manifest

# The first table of each stage that the funnel shows, in the order of a run.
TABLES = (
    "documents",
    "signals",
    "verdicts",
    "duplicates",
    "images",
    "picture_duplicates",
    "final_verdicts",
    "splits",
    "dataset",
)
FILE = "funnel.json"


@dataclass(frozen=True)
class Row:
    """Counts of one unit (documents, nodes, images, ...) at one stage."""

    stage: str
    unit: str
    entered: int
    kept: int
    rejected: dict[str, int]  # reason -> number, most frequent first


def read(output: str) -> list[Row]:
    """The funnel of the run in a folder."""
    return rows_of(manifest.read(storage.join(output, table)) for table in TABLES)


def rows_of(manifests: Iterable[Manifest | None]) -> list[Row]:
    """The counts of manifests, in their order; None stands for a table that does not exist."""
    rows = []
    for found in filter(None, manifests):
        for unit, count in found.counts.items():
            reasons = dict(sorted(count.rejected.items(), key=lambda item: (-item[1], item[0])))
            rows.append(Row(found.stage, unit, count.entered, count.kept, reasons))
    return rows


def shipped_documents(rows: list[Row]) -> int:
    """Documents in the dataset."""
    return sum(row.kept for row in rows if (row.stage, row.unit) == ("assemble", "documents"))


def unjudged(output: str) -> dict[str, int]:
    """Count the documents that ship though a rule could not judge them or some of their nodes.

    By SCOPE.SIGNAL.pending, where the images were not fetched, or SCOPE.SIGNAL.unmeasured.
    """
    found = manifest.read(storage.join(output, "final_verdicts"))
    metrics = found.metrics if found else {}
    return {
        name.removeprefix("unjudged."): int(number)
        for name, number in sorted(metrics.items())
        if name.startswith("unjudged.")
    }


def as_text(rows: list[Row]) -> str:
    """The funnel as a plain-text table, with the reasons below each row."""
    lines = [f"{'stage':<12} {'unit':<10} {'entered':>12} {'kept':>12} {'share':>7}"]
    for row in rows:
        share = f"{row.kept / row.entered:.1%}" if row.entered else "-"
        lines.append(
            f"{row.stage:<12} {row.unit:<10} {row.entered:>12,} {row.kept:>12,} {share:>7}"
        )
        lines += [f"{'':<23} {number:>12,}   - {reason}" for reason, number in row.rejected.items()]
    return "\n".join(lines)


def as_json(rows: list[Row]) -> str:
    """The text of `funnel.json`."""
    return json.dumps([asdict(row) for row in rows], indent=1)
