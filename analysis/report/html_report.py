"""One self-contained HTML page about a run: funnel, distributions, documents, rejections.

Pages are hostile: everything of theirs is escaped text, pictures are encoded anew, the page has
no script, and its Content-Security-Policy allows none.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import partial
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from benben.analysis.query import Query
from benben.analysis.report import charts, examples, funnel
from benben.analysis.report.corpus import phrases, topics
from benben.analysis.report.distributions import compare, distributions
from benben.analysis.tables import RunTables

TEMPLATES = resources.files("benben.analysis") / "templates"
SAMPLE_DOCUMENTS = 12
SHIFTS = 30  # signals told of, the most shifted first


@dataclass(frozen=True)
class Corpus:
    """What the report reads, what it looks for in the texts, and the run it is compared with."""

    topics: int = 0
    documents: int = 2_000  # read for topics and phrases
    phrase_words: int = 8
    against: str | None = None
    distribution_documents: int | None = None  # about so many are drawn from; None: all


PLAIN = Corpus()


def render(output: str, documents: int = SAMPLE_DOCUMENTS, corpus: Corpus = PLAIN) -> str:
    """Make the report of a run's folder. Raises InputError when there is no run."""
    drawn = partial(RunTables, documents=corpus.distribution_documents)
    tables, other = drawn(output), drawn(corpus.against) if corpus.against else None
    found, query = distributions(tables), Query(tables)
    reference = Query(other) if other else None
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    manifests = [tables.find(name) for name in funnel.TABLES]
    return (
        environment()
        .get_template("report.html")
        .render(
            output=output,
            tables=tables,
            policy=policy(style),
            style=Markup(style),
            stages=[stage for stage in manifests if stage],
            funnel=funnel.read(output),
            distributions=found,
            topics=topics(query, corpus.topics, corpus.documents, reference)
            if corpus.topics
            else None,
            phrases=phrases(query, corpus.phrase_words, corpus.documents),
            against=corpus.against,
            shifts=compare(distributions(other), found)[:SHIFTS] if other else [],
            plot=charts,
            shipped=examples.shipped(tables, documents),
            rejected=examples.rejected_documents(tables),
            nodes=examples.rejected_nodes(tables),
        )
    )


def environment() -> Environment:
    """Templates with escaping on."""
    made = Environment(
        loader=PackageLoader("benben.analysis"), autoescape=True, undefined=StrictUndefined
    )
    made.filters["number"] = lambda value: "" if value is None else f"{value:,.4g}"
    return made


def policy(style: str) -> str:
    """A Content-Security-Policy for a page with this style, inlined pictures and no script."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
