"""Stage `fingerprint`: all that deduplication compares, from one pass over the text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from benben.jobs.engine import progress, script
from benben.jobs.engine.stage import Part, Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.deduplication import decontamination, fingerprint
from benben.pipeline.manifest import ConservationError, Count, write_part
from benben.pipeline.settings.deduplicate import FingerprintSettings

BATCH_ROWS = 500


def run(run: Run) -> Result:
    """Fingerprint every part."""
    target = run.target("fingerprints")
    work = _work(run.config.fingerprint, target)
    parts = run.parts("documents", "verdicts", "signals")
    return run.map(parts, work, size=run.manifest("documents").rows)


def _work(settings: FingerprintSettings, target: str) -> Callable[[Part], Result]:
    def work(part: Part) -> Result:
        batches = batches_of(part, settings)
        file = write_part(target, part.number, fingerprint.FINGERPRINTS, batches)
        count = Count(entered=file.rows, kept=file.rows)
        return Result({"fingerprints": [file]}, {"documents": count})

    return work


def batches_of(part: Part, settings: FingerprintSettings) -> Iterator[pa.RecordBatch]:
    """Compute the fingerprints of a part's kept documents, in row order."""
    paths = [part.paths[name] for name in ("documents", "verdicts", "signals")]
    columns: list[list[str] | None] = [
        fingerprint.COLUMNS,
        ["doc_id", "kept", "dropped"],
        ["quality"],
    ]
    for documents, verdicts, signals in storage.iter_aligned(paths, columns, BATCH_ROWS):
        if documents["doc_id"] != verdicts["doc_id"]:
            raise ConservationError(f"{paths[1]}: its rows do not match those of {paths[0]}")
        progress.report.add(documents.num_rows)
        kept = pc.fill_null(verdicts["kept"], False)
        dropped, quality = verdicts["dropped"].filter(kept), signals["quality"].filter(kept)
        yield fingerprint.fingerprints(documents.filter(kept), dropped, quality, settings)


STAGE = Stage(
    name="fingerprint",
    reads=("documents", "verdicts", "signals"),
    writes=("fingerprints",),
    sections=("fingerprint",),
    run=run,
    sources=lambda config: decontamination.digests(config.fingerprint.decontaminate.sets.values()),
    follows="verdicts",
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.fingerprint"))
