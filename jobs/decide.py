"""Apply rules to signals: a verdict for every document, a reason for every dropped node.

`page_robots` has for each part what the robots.txt of its pages' sites said, if the config names
tables of such answers.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from benben.filters.decide import decide_batch
from benben.filters.signal_table import required_columns
from benben.filters.verdicts import count_unjudged, count_verdicts, unjudged_metrics
from benben.jobs.engine import script, tables
from benben.jobs.engine.stage import Part, Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.consent import page_robots
from benben.pipeline.consent.page_robots import PageRobots
from benben.pipeline.consent.site_files import ROBOTS as PATH
from benben.pipeline.consent.site_files import origin_of
from benben.pipeline.manifest import Counts, PartFile, add_counts, write_part
from benben.pipeline.schema import PAGE_ROBOTS, ROBOTS, VERDICTS
from benben.pipeline.settings import Config
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.settings.signals import RuleSettings
from benben.pipeline.takedown import apply_tombstones, tombstones
from benben.pipeline.takedown.tombstones import Tombstones, read

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Judged = Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]
BATCH_DOCUMENTS = 1_000
BATCH_PAGES = 500  # where their text is read too
REDIRECTS = 5  # of a robots.txt that are followed: RFC 9309, section 2.3.1.2
ASKED = pa.schema([("part", pa.int32()), ("origin", pa.string())])


def decide(run: Run) -> Result:
    """Judge each part of `signals`; read text only if there are tombstones to look for."""
    rules, target = run.config.rules, run.target("verdicts")
    lists, fetch = run.config.takedown.tombstones, run.config.fetch
    placed = place_robots(run) if run.config.robots else []
    known = {file.part: storage.join(run.target("page_robots"), file.name) for file in placed}

    def work(part: Part) -> Result:
        counts: Counts = {}
        unjudged: Counter[str] = Counter()
        judged = with_tombstones(part, rules, lists) if lists else by_rules(part, rules)
        if part.number in known:
            judged = with_robots(judged, part, known[part.number], fetch)

        def batches() -> Iterator[pa.RecordBatch]:
            for batch, verdicts in judged:
                add_counts(counts, count_verdicts(batch, verdicts))
                unjudged.update(count_unjudged(verdicts))
                yield verdicts

        file = write_part(target, part.number, VERDICTS, batches())
        return Result({"verdicts": [file]}, counts, unjudged_metrics(unjudged))

    needed = ["documents"] if lists or known else []
    result = run.map(run.parts("signals", *needed), work)
    result.files["page_robots"] = placed
    return result


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


def with_robots(judged: Judged, part: Part, answers: str, fetch: FetchSettings) -> Judged:
    """Refuse pages that the robots.txt captured with them disallows."""
    urls: dict[str, str] = {}
    for batch in storage.iter_parquet(part.paths["documents"], ["doc_id", "url"]):
        ids, addresses = (column.to_pylist() for column in batch.columns)
        urls |= dict(zip(ids, addresses, strict=True))
    robots = PageRobots.read(answers, fetch.consent, fetch.product)
    for signals, verdicts in judged:
        reasons = [robots.reason(urls[doc_id]) for doc_id in verdicts["doc_id"].to_pylist()]
        yield signals, apply_tombstones.reject_documents(verdicts, reasons)


# The answers of the sites of each part's pages


def place_robots(run: Run) -> list[PartFile]:
    """Join the sites of each part's pages with the tables of answers, and write one file a part."""
    number = max(run.manifest("documents").rows, page_robots.rows(run.config.robots))
    plan = tables.ShufflePlan(number <= run.config.spark.one_task_rows)
    moves = redirects(run, plan).persist()
    asked = follow(asked_for(run, plan), moves, plan).persist()
    answers = latest(run, ROBOTS, plan, asked.select("url").distinct()).where("location is null")
    placed = asked.join(plan.broadcast(answers), "url", "left")
    placed = placed.where("moved or captured_at is not null")
    try:
        return tables.write_by_part(placed, run.target("page_robots"), PAGE_ROBOTS, plan=plan)
    finally:
        asked.unpersist()
        moves.unpersist()


def asked_for(run: Run, plan: tables.ShufflePlan) -> DataFrame:
    """The robots.txt of the sites of each part's pages: part, origin, url, moved (no)."""
    from pyspark.sql import functions as F

    def read(part: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path, ["url"]):
            found = sorted(set(map(origin_of, batch["url"].to_pylist())))
            columns = {"part": [part] * len(found), "origin": found}
            yield pa.RecordBatch.from_pydict(columns, ASKED)

    paths = sorted(run.paths("documents").items())
    pages = tables.frame(run.spark, paths, read, ASKED, plan).distinct()
    url = F.concat("origin", F.lit(PATH))
    return pages.select("*", url.alias("url"), F.lit(False).alias("moved"))


def redirects(run: Run, plan: tables.ShufflePlan) -> DataFrame:
    """The robots.txt whose latest answer is a redirect: url, target."""
    known = latest(run, ROBOTS.remove(ROBOTS.get_field_index("text")), plan)
    return known.where("location is not null").selectExpr("url", "location as target")


def follow(asked: DataFrame, moves: DataFrame, plan: tables.ShufflePlan) -> DataFrame:
    """Replace each `url` by where its redirects lead; `moved` tells those that have any."""
    for _ in range(REDIRECTS):
        asked = asked.join(plan.broadcast(moves), "url", "left").selectExpr(
            "part", "origin", "coalesce(target, url) as url", "moved or target is not null as moved"
        )
    return asked


def latest(
    run: Run, schema: pa.Schema, plan: tables.ShufflePlan, wanted: DataFrame | None = None
) -> DataFrame:
    """Of each requested URL the answer that counts: one that is a file before others, the latest.

    `schema` are the columns of ROBOTS that are read, `wanted` the URLs; without it, all of them.
    """
    from pyspark.sql import functions as F

    def read(path: str) -> tables.Batches:
        yield from storage.iter_parquet(path, schema.names)

    files = [(path,) for path in page_robots.files(run.config.robots)]
    rows = tables.frame(run.spark, files, read, schema, plan)
    rows = rows if wanted is None else rows.join(plan.broadcast(wanted), "url", "leftsemi")
    is_file = F.coalesce(F.col("status").between(200, 299), F.lit(False))
    order = F.struct(is_file.alias("is_file"), *schema.names[1:])
    return rows.groupBy("url").agg(F.max(order).alias("answer")).select("url", "answer.*")


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
    writes=("verdicts", "page_robots"),
    sections=("rules",),
    run=decide,
    sources=sources,
    follows="signals",
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.decide"))
