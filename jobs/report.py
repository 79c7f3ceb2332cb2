"""What a run did, for people: one HTML page, the dataset's card, and the funnel as JSON."""

from __future__ import annotations

import sys

from analysis import card, funnel, report
from jobs import cli
from jobs.job import Result, Run, Stage
from pipeline import storage
from pipeline.manifest import PartFile


def write_report(run: Run) -> Result:
    """Write `report/report.html`, the dataset's README.md and croissant.json, `funnel.json`."""
    settings = run.config.report
    page = report.render(run.config.output, settings.sample_documents).encode()
    storage.write_bytes(storage.join(run.target("report"), "report.html"), page)
    card.write(run.config.output, settings.title, settings.url)
    counts = funnel.as_json(funnel.read(run.config.output)).encode()
    storage.write_bytes(storage.join(run.config.output, funnel.FILE), counts)
    return Result({"report": [PartFile(part=0, name="report.html", rows=0, bytes=len(page))]})


STAGE = Stage(
    name="report",
    reads=("documents", "signals", "verdicts", "duplicates", "images", "final_verdicts", "dataset"),
    writes=("report",),
    sections=("report",),
    run=write_report,
    product=True,
)

if __name__ == "__main__":
    sys.exit(cli.main(["report", *sys.argv[1:]]))
