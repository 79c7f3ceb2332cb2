"""Rules over signals: a verdict for every document, a reason for every dropped node."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from filters import ledger
from filters.decide import decide_batch
from filters.needed import columns
from jobs import cli
from jobs.job import Part, Result, Run, Stage, write_part
from pipeline import storage
from pipeline.manifest import Counts, add_counts
from pipeline.schema import VERDICTS

BATCH_DOCUMENTS = 5_000


def decide(run: Run) -> Result:
    """Judge each part of `signals`; reads no text."""
    rules, target = run.config.rules, run.target("verdicts")
    wanted = columns(rules)

    def work(part: Part) -> Result:
        counts: Counts = {}
        unjudged: Counter[str] = Counter()

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in storage.iter_parquet(part.paths["signals"], wanted, BATCH_DOCUMENTS):
                verdicts = decide_batch(batch, rules)
                add_counts(counts, ledger.count(batch, verdicts))
                unjudged.update(ledger.unjudged(verdicts))
                yield verdicts

        file = write_part(target, part.number, VERDICTS, batches())
        return Result({"verdicts": [file]}, counts, ledger.metrics(unjudged))

    return run.map(run.parts("signals"), work)


STAGE = Stage(
    name="decide",
    reads=("signals",),
    writes=("verdicts",),
    sections=("rules",),
    run=decide,
    follows="signals",
)

if __name__ == "__main__":
    sys.exit(cli.main(["decide", *sys.argv[1:]]))
