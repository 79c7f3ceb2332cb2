"""What a run did, for people: one HTML page, the dataset's card, and the funnel as JSON."""

from __future__ import annotations

import hashlib
import sys

from benben.analysis.dataset_card import card
from benben.analysis.report import funnel, html_report
from benben.analysis.report.html_report import Corpus
from benben.jobs.engine import script
from benben.jobs.engine.stage import Result, Run, Stage
from benben.pipeline import manifest, storage
from benben.pipeline.errors import UserError
from benben.pipeline.manifest import PartFile
from benben.pipeline.settings import Config
from benben.pipeline.settings.ship import ReportSettings


def write_report(run: Run) -> Result:
    """Write `report/report.html`, the dataset's README.md and croissant.json, `funnel.json`."""
    settings = run.config.report
    page = page_of(run.config.output, settings)
    storage.write_bytes(storage.join(run.target("report"), "report.html"), page)
    card.write(run.config.output, settings.title, settings.url)
    counts = funnel.as_json(funnel.read(run.config.output)).encode()
    storage.write_bytes(storage.join(run.config.output, funnel.FILE), counts)
    return Result({"report": [PartFile(part=0, name="report.html", rows=0, bytes=len(page))]})


def page_of(output: str, settings: ReportSettings) -> bytes:
    """The report under the settings."""
    corpus = Corpus(
        settings.topics,
        settings.corpus_documents,
        settings.phrase_words,
        settings.against,
        settings.distribution_documents,
        settings.proof,
    )
    return html_report.render(output, settings.sample_documents, corpus).encode("utf-8", "replace")


def reference(config: Config) -> dict[str, str]:
    """Identities of the dataset to compare with and of the proof. Raises UserError."""
    identities = {}
    if config.report.against is not None:
        found = manifest.read(storage.join(config.report.against, "dataset"))
        if found is None:
            raise UserError(f"report.against: {config.report.against}: no dataset there")
        identities["against"] = found.id
    if config.report.proof is not None:
        if not storage.exists(config.report.proof):
            raise UserError(f"report.proof: {config.report.proof}: no such file")
        data = storage.read_bytes(config.report.proof)
        identities["proof"] = hashlib.blake2b(data, digest_size=8).hexdigest()
    return identities


STAGE = Stage(
    name="report",
    reads=("documents", "signals", "verdicts", "duplicates", "images", "final_verdicts", "dataset"),
    writes=("report",),
    sections=("report",),
    run=write_report,
    sources=reference,
    product=True,
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.report"))
