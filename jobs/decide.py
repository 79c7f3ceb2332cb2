"""Apply rules to signals: a verdict for every document, a reason for every dropped node."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from benben.filters.decide import decide_batch
from benben.filters.signal_table import required_columns
from benben.filters.verdicts import count_unjudged, count_verdicts, unjudged_metrics
from benben.jobs.engine import script
from benben.jobs.engine.stage import Part, Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.manifest import Counts, add_counts, write_part
from benben.pipeline.schema import VERDICTS
from benben.pipeline.settings.signals import RuleSettings
from benben.pipeline.takedown import apply_tombstones, tombstones
from benben.pipeline.takedown.tombstones import Tombstones, read

Judged = Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]
BATCH_DOCUMENTS = 1_000
BATCH_PAGES = 500  # where their text is read too


def decide(run: Run) -> Result:
    """Judge each part of `signals`; read text only if there are tombstones to look for."""
    rules, target = run.config.rules, run.target("verdicts")
    lists = run.config.takedown.tombstones

    def work(part: Part) -> Result:
        counts: Counts = {}
        unjudged: Counter[str] = Counter()
        judged = with_tombstones(part, rules, lists) if lists else by_rules(part, rules)

        def batches() -> Iterator[pa.RecordBatch]:
            for batch, verdicts in judged:
                add_counts(counts, count_verdicts(batch, verdicts))
                unjudged.update(count_unjudged(verdicts))
                yield verdicts

        file = write_part(target, part.number, VERDICTS, batches())
        return Result({"verdicts": [file]}, counts, unjudged_metrics(unjudged))

    return run.map(run.parts("signals", *(["documents"] if lists else [])), work)


def by_rules(part: Part, rules: RuleSettings) -> Judged:
    """Yield batches of a part's signals, each with its verdicts."""
    columns = required_columns(rules)
    for batch in storage.iter_parquet(part.paths["signals"], columns, BATCH_DOCUMENTS):
        yield batch, decide_batch(batch, rules)


def with_tombstones(part: Part, rules: RuleSettings, lists: list[str]) -> Judged:
    """As `by_rules`, but drop what was taken down before any rule is applied."""
    known = Tombstones(read(lists))
    for signals, documents in storage.iter_aligned(
        [part.paths["signals"], part.paths["documents"]],
        [required_columns(rules), apply_tombstones.COLUMNS],
        BATCH_PAGES,
    ):
        images = apply_tombstones.matching_image_nodes(documents, known)
        verdicts = decide_batch(signals, rules, removed=[images])
        reasons = apply_tombstones.document_reasons(documents, known)
        yield signals, apply_tombstones.reject_documents(verdicts, reasons)


STAGE = Stage(
    name="decide",
    reads=("signals",),
    writes=("verdicts",),
    sections=("rules",),
    run=decide,
    sources=lambda config: tombstones.identities(config.takedown.tombstones),
    follows="signals",
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.decide"))
