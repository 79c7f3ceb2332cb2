"""What `benben run` prints at the end: about ten lines, or the whole funnel."""

from __future__ import annotations

from collections.abc import Iterable

from benben.analysis.report import funnel
from benben.analysis.report.funnel import Row
from benben.pipeline import manifest, storage

REASONS = 5  # most frequent ones shown
UNJUDGED = {"pending": "images were not fetched", "unmeasured": "signals have no value"}


def lines(output: str, seconds: float) -> list[str]:
    """Return about ten lines: what came in, what ships, why the rest does not, where things are."""
    rows = funnel.read(output)
    units = {(row.stage, row.unit): row for row in rows}
    pages, shipped = units.get(("extract", "documents")), units.get(("assemble", "documents"))
    read = pages.entered if pages else 0
    pace = f", {read / seconds:,.0f} pages/s" if seconds >= 1 else ""
    return [
        f"pages      {read:,} read, {_share(shipped, read)}",
        f"images     {_images(units.values())}",
        f"tokens     {_tokens(output)} (estimated)",
        f"reasons    {_reasons(rows)}",
        f"warnings   {_warnings(output)}",
        f"time       {seconds:,.1f} s{pace}",
        f"dataset    {storage.join(output, 'dataset')}",
        f"report     {storage.join(output, 'report')}/report.html",
        "more       the same command with --details shows the counts of every stage",
    ]


def details(output: str) -> list[str]:
    """Return the funnel with every reason, and what was not judged."""
    unjudged = [
        f"not judged: {rule} of {number:,} documents that ship"
        for rule, number in funnel.unjudged(output).items()
    ]
    return [funnel.as_text(funnel.read(output)), *unjudged]


def _share(row: Row | None, read: int) -> str:
    kept = row.kept if row else 0
    return f"{kept:,} shipped" + (f" ({kept / read:.1%})" if read else "")


def _images(rows: Iterable[Row]) -> str:
    """Images found on pages, stored by the fetch, and shown by documents that ship."""
    counts = {row.stage: row for row in rows if row.unit == "images"}
    found = counts["extract"].kept if "extract" in counts else 0
    fetched = f", {counts['fetch'].kept:,} fetched" if "fetch" in counts else ""
    shown = counts["assemble"].kept if "assemble" in counts else 0
    return f"{found:,} found{fetched}, {shown:,} shipped"


def _tokens(output: str) -> str:
    found = manifest.read(storage.join(output, "dataset"))
    return f"{int(found.metrics.get('tokens', 0)):,}" if found else "0"


def _reasons(rows: Iterable[Row]) -> str:
    """The most frequent reasons that documents were dropped for, of all stages."""
    counts: dict[str, int] = {}
    for row in rows:
        if row.unit == "documents":
            for reason, number in row.rejected.items():
                counts[reason] = counts.get(reason, 0) + number
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{reason} {number:,}" for reason, number in ordered[:REASONS]]
    rest = sum(number for _, number in ordered[REASONS:])
    return ", ".join([*shown, *([f"others {rest:,}"] if rest else [])]) or "none"


def _warnings(output: str) -> str:
    """What a reader of the dataset should know: rules that could not judge, lost inputs."""
    unjudged = funnel.unjudged(output)
    found = [
        f"{why}, so {len(numbers)} rules could not judge up to {max(numbers):,} documents that ship"
        for kind, why in UNJUDGED.items()
        if (numbers := [n for rule, n in unjudged.items() if rule.endswith(f".{kind}")])
    ]
    dead = manifest.read(storage.join(output, "dead_letters"))
    if dead and dead.rows:
        found.append(f"{dead.rows:,} pages crashed or hung their process")
    extracted = manifest.read(storage.join(output, "documents"))
    rejected = extracted.counts["documents"].rejected if extracted else {}
    lost = sum(number for reason, number in rejected.items() if reason.startswith("archive."))
    if lost:
        found.append(f"{lost:,} stretches of archives could not be read")
    return "; ".join(found) or "none"
