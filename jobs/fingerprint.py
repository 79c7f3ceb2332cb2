"""Kept documents to fingerprints: the one pass over text that deduplication needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from jobs.job import Part, Result, Run, Stage, write_part
from pipeline import storage
from pipeline.deduplication import decontaminate, fingerprint
from pipeline.manifest import ConservationError, Count
from pipeline.settings.deduplicate import FingerprintSettings

BATCH_ROWS = 500


def run(run: Run) -> Result:
    """Fingerprint every part."""
    target = run.target("fingerprints")
    work = _work(run.config.fingerprint, target)
    return run.map(run.parts("documents", "verdicts"), work)


def _work(settings: FingerprintSettings, target: str) -> Callable[[Part], Result]:
    def work(part: Part) -> Result:
        batches = batches_of(part, settings)
        file = write_part(target, part.number, fingerprint.FINGERPRINTS, batches)
        count = Count(entered=file.rows, kept=file.rows)
        return Result({"fingerprints": [file]}, {"documents": count})

    return work


def batches_of(part: Part, settings: FingerprintSettings) -> Iterator[pa.RecordBatch]:
    """Fingerprints of a part's kept documents, in row order."""
    columns = ["doc_id", "kept", "dropped"]
    verdicts = storage.read_parquet(part.paths["verdicts"], columns).combine_chunks()
    row = 0
    documents = storage.iter_parquet(part.paths["documents"], fingerprint.COLUMNS, BATCH_ROWS)
    for batch in documents:
        beside = verdicts.slice(row, batch.num_rows)
        row += batch.num_rows
        if beside["doc_id"].to_pylist() != batch["doc_id"].to_pylist():
            raise ConservationError(
                f"{part.paths['verdicts']}: rows up to {row} do not match the documents' rows"
            )
        kept = pc.fill_null(beside["kept"], False).combine_chunks()
        dropped = beside["dropped"].combine_chunks().filter(kept)
        yield fingerprint.fingerprints(batch.filter(kept), dropped, settings)


STAGE = Stage(
    name="fingerprint",
    reads=("documents", "verdicts"),
    writes=("fingerprints",),
    sections=("fingerprint",),
    run=run,
    sources=lambda config: decontaminate.identities(config.fingerprint.decontaminate),
    follows="verdicts",
)
