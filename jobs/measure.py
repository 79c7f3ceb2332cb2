"""Measure the signals of every node and document once; rules and tuning read only these."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pyarrow as pa

from benben.filters.signal_table import SIGNALS, measure_batch
from benben.jobs.engine import progress, script
from benben.jobs.engine.stage import Part, Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.manifest import Count, write_part

BATCH_DOCUMENTS = 256  # read at once: some MB of text


def measure(run: Run) -> Result:
    """Measure each part of `documents`, row by row in the same order."""
    settings, target = run.config.signals, run.target("signals")

    def work(part: Part) -> Result:
        documents = Count()

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in storage.iter_parquet(part.paths["documents"], None, BATCH_DOCUMENTS):
                measured = measure_batch(batch, settings)
                progress.report.add(batch.num_rows)
                documents.entered += batch["reason"].null_count
                documents.kept += measured["reason"].null_count
                yield measured

        file = write_part(target, part.number, SIGNALS, batches())
        return Result({"signals": [file]}, {"documents": documents})

    return run.map(
        run.parts("documents"), work, size=run.manifest("documents").rows, machine_code="signals"
    )


STAGE = Stage(
    name="measure",
    reads=("documents",),
    writes=("signals",),
    sections=("signals",),
    run=measure,
    follows="documents",
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.measure"))
