"""The report of a run: one self-contained HTML page.

It opens with what the run made of what and at what cost. It shows the funnel, the distributions,
what the texts are about, and examples of shipped and rejected documents. It has no scripts and
loads nothing.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from markupsafe import Markup

from benben.analysis.query import Query
from benben.analysis.report import charts, examples, funnel, headline, proof
from benben.analysis.report.corpus import Topics, phrases, topics
from benben.analysis.report.distributions import compare, distributions
from benben.analysis.safe_html import content_security_policy, environment, style_sheet
from benben.analysis.tables import RunTables

SHIPPED_DOCUMENTS = 12  # shown by default
MAX_SHIFTS = 30  # rows of the comparison with another run


@dataclass(frozen=True)
class Corpus:
    """What the report reads and looks for in the texts, and the run it compares with."""

    topics: int = 0  # number of topics to fit; 0: none
    documents: int = 2_000  # documents read for topics and phrases
    phrase_words: int = 8
    against: str | None = None  # folder of the run to compare with
    distribution_documents: int | None = None  # documents read for distributions; None: all
    proof: str | None = None  # file of `benben-train prove` to show


DEFAULT_CORPUS = Corpus()


def render(output: str, documents: int = SHIPPED_DOCUMENTS, corpus: Corpus = DEFAULT_CORPUS) -> str:
    """Make the report of the run in a folder. Raises InputError when there is no run."""
    tables = RunTables(output, documents=corpus.distribution_documents)
    other = (
        RunTables(corpus.against, documents=corpus.distribution_documents)
        if corpus.against
        else None
    )
    with ThreadPoolExecutor(1) as pool:  # topics take half of the time, most of it without the GIL
        fitted = pool.submit(_topics, tables, other, corpus) if corpus.topics else None
        return _page(tables, documents, corpus, other, fitted)


def _topics(tables: RunTables, other: RunTables | None, corpus: Corpus) -> Topics:
    reference = Query(other) if other else None
    return topics(Query(tables), corpus.topics, corpus.documents, reference)


def _page(
    tables: RunTables,
    documents: int,
    corpus: Corpus,
    other: RunTables | None,
    fitted: Future[Topics] | None,
) -> str:
    output, found = tables.output, distributions(tables)
    style = style_sheet("report.css")
    rejected, nodes = examples.rejected_documents(tables), examples.rejected_nodes(tables)
    manifests = [tables.find(name) for name in funnel.TABLES]
    return (
        environment()
        .get_template("report.html")
        .render(
            output=output,
            tables=tables,
            policy=content_security_policy(style),
            style=Markup(style),
            stages=[stage for stage in manifests if stage],
            headline=headline.read(tables, Query(tables)),
            reference=headline.read(other, Query(other)) if other else None,
            funnel=funnel.read(output),
            shown={row.reason for row in (*rejected, *nodes)},
            unjudged=funnel.unjudged(output),
            distributions=found,
            phrases=phrases(Query(tables), corpus.phrase_words, corpus.documents),
            against=corpus.against,
            shifts=compare(distributions(other), found)[:MAX_SHIFTS] if other else [],
            proof=proof.read(corpus.proof) if corpus.proof else None,
            charts=charts,
            shipped=examples.shipped_documents(tables, documents),
            rejected=rejected,
            nodes=nodes,
            topics=fitted.result() if fitted else None,  # the rest is done meanwhile
        )
    )
