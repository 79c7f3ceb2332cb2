"""The funnel: how many captures, documents, nodes and images each stage kept, and why not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from benben.pipeline import manifest, storage
from benben.pipeline.manifest import Manifest

# First table of every stage that decides, in the order of a run.
TABLES = (
    *("documents", "signals", "verdicts", "duplicates", "images", "picture_duplicates"),
    *("final_verdicts", "splits"),
    "dataset",
)
FILE = "funnel.json"


@dataclass(frozen=True)
class Row:
    """One unit at one stage."""

    stage: str
    unit: str
    entered: int
    kept: int
    rejected: dict[str, int]


def read(output: str) -> list[Row]:
    """Collect the funnel of a run's folder from its manifests, in stage order."""
    return rows_of(manifest.read(storage.join(output, table)) for table in TABLES)


def rows_of(tables: Iterable[Manifest | None]) -> list[Row]:
    """The funnel that manifests tell, in their order; None: no such table."""
    rows = []
    for found in filter(None, tables):
        for unit, count in found.counts.items():
            reasons = dict(sorted(count.rejected.items(), key=lambda item: (-item[1], item[0])))
            rows.append(Row(found.stage, unit, count.entered, count.kept, reasons))
    return rows


def as_text(rows: list[Row]) -> str:
    """Lay the funnel out as plain text, reasons under each stage."""
    lines = [f"{'stage':<12} {'unit':<10} {'entered':>12} {'kept':>12} {'share':>7}"]
    for row in rows:
        share = f"{row.kept / row.entered:.1%}" if row.entered else "-"
        lines.append(
            f"{row.stage:<12} {row.unit:<10} {row.entered:>12,} {row.kept:>12,} {share:>7}"
        )
        lines += [f"{'':<23} {number:>12,}   - {reason}" for reason, number in row.rejected.items()]
    return "\n".join(lines)


def as_json(rows: list[Row]) -> str:
    """Render `funnel.json`."""
    return json.dumps([asdict(row) for row in rows], indent=1)
