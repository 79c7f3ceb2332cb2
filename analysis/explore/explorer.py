"""The explorer's HTML pages: search, document, images, funnel, reasons, distributions, drift.

A page has the same name on the server and as a file of the static form, so links work in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from threading import Lock
from typing import Any

from markupsafe import Markup

from benben.analysis.explore import gallery, hits, original, search
from benben.analysis.explore.index import Index, numeric_signals
from benben.analysis.explore.labelling import Labelling
from benben.analysis.explore.search import Search
from benben.analysis.provenance.archives import NO_ARCHIVES, Archives
from benben.analysis.provenance.history import history
from benben.analysis.query import Query
from benben.analysis.report import charts, funnel
from benben.analysis.report.distributions import Distributions, compare, distributions
from benben.analysis.safe_html import content_security_policy, environment, script, style_sheet
from benben.analysis.tables import RunTables
from benben.filters import reasons

EVERYTHING = Search()
SIBLINGS = 50  # near-duplicates shown of a document


class Explorer:
    """Makes the pages about one run, beside another run if one is given.

    `archives` are read for pages as they were. With `remote`, the browser may load images whose
    bytes are not stored from the web. With `labelling`, documents can be labelled.
    """

    def __init__(
        self,
        output: str,
        against: str | None = None,
        archives: Archives = NO_ARCHIVES,
        remote: bool = False,
        static: bool = False,
    ) -> None:
        self.tables = RunTables(output)
        self.other = RunTables(against) if against else None
        self.archives, self.remote, self.static = archives, remote, static
        self.labelling: Labelling | None = None
        self._lock = Lock()  # a DuckDB connection serves one thread at a time

    @cached_property
    def query(self) -> Query:
        """SQL over the run."""
        return Query(self.tables)

    @cached_property
    def index(self) -> Index:
        """What searches look at, read when first needed."""
        return Index(self.tables)

    @cached_property
    def style(self) -> str:
        """The style sheet of all pages: Pico, with the charts' and the explorer's own."""
        return style_sheet("vendor/pico.classless.min.css", "report.css", "explore/explore.css")

    @cached_property
    def script(self) -> str:
        """The one script: keys of the page of a document."""
        return "" if self.static else script("explore/keys.js")

    @cached_property
    def policy(self) -> str:
        """The Content-Security-Policy of all pages but those from archives."""
        return content_security_policy(
            self.style, self.remote, forms=True, script=self.script, frames=not self.static
        )

    @cached_property
    def distributions(self) -> Distributions:
        """Distributions of the run, computed when first needed."""
        return distributions(self.tables)

    def page(self, name: str, fields: Mapping[str, str]) -> str | None:
        """A page by its file name; None when there is no such page."""
        with self._lock:
            return self._page(name or "index.html", fields)

    def _page(self, name: str, fields: Mapping[str, str]) -> str | None:
        if name == "index.html":
            return self.results(Search.from_fields(fields))
        if name.startswith("document-"):
            doc_id = name.removeprefix("document-").removesuffix(".html")
            return self.document(doc_id, Search.from_fields(fields))
        if name.startswith("page-"):
            return self.original(name.removeprefix("page-").removesuffix(".html"))
        if name == "images.html":
            return self.images(gallery.Wanted.from_fields(fields))
        if name == "funnel.html":
            rows = funnel.read(self.tables.output)
            return self._render(name, funnel=rows, explain=reasons.explain)
        if name == "distributions.html":
            return self._render(name, distributions=self.distributions)
        if name == "drift.html" and self.other:
            shifts = compare(self._other_distributions, self.distributions)
            return self._render(name, shifts=shifts, other=self.other.output)
        return None

    def label(self, path: str, form: Mapping[str, str]) -> str | None:
        """Do what a form asks; the id of the labelled document, or None if it may not be done."""
        with self._lock:
            known = self.labelling
            if path != "/label" or known is None or not known.trusted(form.get("token", "")):
                return None
            return known.act(form)

    def results(self, conditions: Search, limit: int = search.HITS_PER_PAGE) -> str:
        """The search form, facets and a page of hits."""
        found = search.find(self.index, conditions, limit, self._other_index)
        return self._render(
            "index.html",
            hits=hits.read(self.index, found.rows, found.values),
            found=found,
            limit=limit,
            search=conditions,
            signals=numeric_signals(),
            labelled=self.labelling.number() if self.labelling else 0,
            facet_names=search.FACET_NAMES,
            why=reasons.explain(conditions.reason or conditions.dropped),
        )

    def document(self, doc_id: str, conditions: Search = EVERYTHING) -> str | None:
        """One document: as shipped beside the page as it was, and each node with its verdict."""
        found = history(self.tables, doc_id, self.archives)
        if found is None:
            return None
        return self._render(
            "document.html",
            history=found,
            remote=self.remote,
            siblings=self._siblings(doc_id, found.duplicate),
            other=self._other_verdict(doc_id),
            neighbours=(None, None) if self.static else self._neighbours(doc_id, conditions),
            search=conditions,
            everything=EVERYTHING,
            labelling=self.labelling,
            explain=reasons.explain,
        )

    def original(self, doc_id: str) -> str | None:
        """A document's page as it was in the archive, made safe; None when it is not at hand."""
        found = history(self.tables, doc_id, self.archives)
        if found is None or found.source is None:
            return None
        shown = zip(found.document["nodes"] or [], found.nodes, strict=True)
        pictures = {node["src"]: view.picture for node, view in shown if view.picture}
        return original.safe_page(found.source, pictures, found.nodes)

    def images(self, wanted: gallery.Wanted) -> str:
        """A page of the wall of images."""
        wall = gallery.read(self.query, self.tables, wanted)
        why = reasons.explain(wanted.reason)
        return self._render("images.html", wall=wall, wanted=wanted, why=why, remote=self.remote)

    def _siblings(self, doc_id: str, duplicate: Mapping[str, Any] | None) -> list[tuple[Any, ...]]:
        """The other documents of its component as (id, reason, similarity), the kept one first."""
        kept_id = (duplicate or {}).get("kept_id") or doc_id
        rows = self.query.rows(
            "select doc_id, reason, similarity from duplicates where kept_id = ? "
            f"order by similarity desc nulls last, doc_id limit {SIBLINGS}",
            kept_id,
        )
        return [row for row in [(kept_id, "", None), *rows] if row[0] != doc_id]

    def _neighbours(self, doc_id: str, conditions: Search) -> tuple[str | None, str | None]:
        """Ids of the documents before and after one in a search, if they are on its page."""
        found = search.find(self.index, conditions, other=self._other_index)
        row = self.index.row(doc_id)
        if row not in found.rows:
            return None, None
        around = [found.before, *found.rows, found.after]
        place = found.rows.index(row)
        before, after = around[place], around[place + 2]
        ids = [None if one is None else self.index.doc_id(one) for one in (before, after)]
        return ids[0], ids[1]

    def _other_verdict(self, doc_id: str) -> Mapping[str, Any] | None:
        """The other run's verdict on a document; None when it has none."""
        if self.other is None:
            return None
        return self.other.lookup(self.other.verdicts, "doc_id", [doc_id]).get(doc_id)

    @cached_property
    def _other_index(self) -> Index | None:
        return Index(self.other) if self.other else None

    @cached_property
    def _other_distributions(self) -> Distributions:
        return distributions(self.other) if self.other else Distributions()

    def _render(self, template: str, **values: object) -> str:
        return (
            environment()
            .get_template(f"explore/{template}")
            .render(
                output=self.tables.output,
                policy=self.policy,
                style=Markup(self.style),
                script=Markup(self.script),
                static=self.static,
                compared=self.other.output if self.other else "",
                charts=charts,
                **values,
            )
        )
