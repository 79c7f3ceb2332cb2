"""Apply rules to signals: a verdict for every document, a reason for every dropped node."""

from __future__ import annotations

import hashlib
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
from benben.pipeline.consent import page_robots
from benben.pipeline.consent.page_robots import PageRobots
from benben.pipeline.manifest import Counts, add_counts, write_part
from benben.pipeline.schema import VERDICTS
from benben.pipeline.settings import Config
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.settings.signals import RuleSettings
from benben.pipeline.takedown import apply_tombstones, tombstones
from benben.pipeline.takedown.tombstones import Tombstones, read

Judged = Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]
BATCH_DOCUMENTS = 1_000
BATCH_PAGES = 500  # where their text is read too


def decide(run: Run) -> Result:
    """Judge each part of `signals`; read text only if there are tombstones to look for."""
    rules, target = run.config.rules, run.target("verdicts")
    lists, tables = run.config.takedown.tombstones, run.config.robots
    fetch = run.config.fetch

    def work(part: Part) -> Result:
        counts: Counts = {}
        unjudged: Counter[str] = Counter()
        judged = with_tombstones(part, rules, lists) if lists else by_rules(part, rules)
        if tables:
            judged = with_robots(judged, part, tables, fetch)

        def batches() -> Iterator[pa.RecordBatch]:
            for batch, verdicts in judged:
                add_counts(counts, count_verdicts(batch, verdicts))
                unjudged.update(count_unjudged(verdicts))
                yield verdicts

        file = write_part(target, part.number, VERDICTS, batches())
        return Result({"verdicts": [file]}, counts, unjudged_metrics(unjudged))

    return run.map(run.parts("signals", *(["documents"] if lists or tables else [])), work)


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


def with_robots(judged: Judged, part: Part, tables: list[str], fetch: FetchSettings) -> Judged:
    """Refuse pages that the robots.txt captured with them disallows."""
    urls: dict[str, str] = {}
    for batch in storage.iter_parquet(part.paths["documents"], ["doc_id", "url"]):
        ids, addresses = (column.to_pylist() for column in batch.columns)
        urls |= dict(zip(ids, addresses, strict=True))
    robots = PageRobots(tables, urls.values(), fetch.consent, fetch.product)
    for signals, verdicts in judged:
        reasons = [robots.reason(urls[doc_id]) for doc_id in verdicts["doc_id"].to_pylist()]
        yield signals, apply_tombstones.reject_documents(verdicts, reasons)


def sources(config: Config) -> dict[str, str]:
    """Fingerprints of the lists and tables that the config names."""
    found = tombstones.identities(config.takedown.tombstones)
    if config.robots:
        rules = config.fetch.consent.model_dump_json() + config.fetch.product
        found |= page_robots.identities(config.robots)
        found["consent"] = hashlib.blake2b(rules.encode(), digest_size=8).hexdigest()
    return found


STAGE = Stage(
    name="decide",
    reads=("signals",),
    writes=("verdicts",),
    sections=("rules",),
    run=decide,
    sources=sources,
    follows="signals",
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.decide"))
