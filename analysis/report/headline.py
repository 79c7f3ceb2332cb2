"""The headline of a report: pages, documents, images, tokens, languages, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benben.analysis.query import Query
from benben.analysis.report import funnel
from benben.analysis.tables import RunTables
from benben.common.text import lines
from benben.pipeline import storage

LANGUAGES = 5  # named


@dataclass(frozen=True)
class Headline:
    """What a run made of what."""

    pages: int  # captures that were read
    documents: int  # shipped, as the rest
    images: int
    tokens: int  # estimated from bytes of UTF-8
    languages: list[tuple[str, int]]  # with their documents, most frequent first
    core_seconds: float | None  # processor time of all tasks; None: the run has no log of it
    seconds: float  # sum over the stages


def read(tables: RunTables, query: Query) -> Headline:
    """The headline of a run."""
    rows = funnel.read(tables.output)
    entered = {(row.stage, row.unit): row.entered for row in rows}
    kept = {(row.stage, row.unit): row.kept for row in rows}
    images, tokens = query.rows("select sum(num_images), sum(num_tokens) from data")[0]
    languages = query.rows(
        "select lang, count(*) from data where lang is not null group by 1 order by 2 desc, 1"
    )
    made = [found for table in funnel.TABLES if (found := tables.find(table))]
    return Headline(
        pages=entered.get(("extract", "documents"), tables.documents),
        documents=kept.get(("assemble", "documents"), 0),
        images=int(images or 0),
        tokens=int(tokens or 0),
        languages=languages,
        core_seconds=core_seconds(tables.output),
        seconds=sum(one.seconds for one in made),
    )


def core_seconds(output: str) -> float | None:
    """Processor time of all tasks of a run's last execution of each stage; None without logs."""
    last = last_executions(output)
    return sum(float(one["task_cpu_seconds"]) for one in last.values()) if last else None


def last_executions(output: str) -> dict[str, Mapping[str, Any]]:
    """What a run's logs say of the last execution of each stage that ended, by stage."""
    last: dict[str, Mapping[str, Any]] = {}
    for path in sorted(storage.list_files(storage.join(output, "metrics"))):
        for line in lines(storage.read_bytes(path)):
            event = json.loads(line)
            if event["event"] == "committed":
                last[event["stage"]] = event
    return last
