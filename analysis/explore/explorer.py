"""The explorer's HTML pages: search, document, images, funnel, distributions, drift.

A page has the same name on the server and as a file of the static form, so links work in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from threading import Lock

from markupsafe import Markup

from benben.analysis.explore import search
from benben.analysis.explore.search import Search
from benben.analysis.provenance.archives import NO_ARCHIVES, Archives
from benben.analysis.provenance.history import history
from benben.analysis.query import Query
from benben.analysis.report import charts, funnel
from benben.analysis.report.distributions import Distributions, compare, distributions
from benben.analysis.safe_html import (
    content_security_policy,
    environment,
    style_sheet,
    thumbnail,
)
from benben.analysis.tables import RunTables

IMAGES_PER_PAGE = 60
GALLERY_SIDE = 160  # pixels of a thumbnail on the page of images


class Explorer:
    """Makes the pages about one run, and about its drift from another run.

    `archives` are read for the HTML source of documents. With `remote`, the browser may load images
    whose bytes are not stored from the web.
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
        self._lock = Lock()  # a DuckDB connection serves one thread at a time

    @cached_property
    def query(self) -> Query:
        """SQL over the run."""
        return Query(self.tables)

    @cached_property
    def style(self) -> str:
        """The style sheet of all pages."""
        return style_sheet("report.css", "explore/explore.css")

    @cached_property
    def policy(self) -> str:
        """The Content-Security-Policy of all pages."""
        return content_security_policy(self.style, self.remote, forms=True)

    @cached_property
    def distributions(self) -> Distributions:
        """Distributions of the run, computed when first needed."""
        return distributions(self.tables)

    def page(self, name: str, fields: Mapping[str, str]) -> str | None:
        """A page by its file name; None when there is no such page."""
        with self._lock:
            if name in ("", "index.html"):
                return self.index(Search.from_fields(fields))
            if name.startswith("document-"):
                return self.document(name.removeprefix("document-").removesuffix(".html"))
            if name == "images.html" or name.startswith("images-"):
                return self.images(name.removeprefix("images").removesuffix(".html").lstrip("-"))
            if name == "funnel.html":
                return self._render("funnel.html", funnel=funnel.read(self.tables.output))
            if name == "distributions.html":
                return self._render("distributions.html", distributions=self.distributions)
            if name == "drift.html" and self.other:
                shifts = compare(self._other_distributions, self.distributions)
                return self._render("drift.html", shifts=shifts, other=self.other.output)
            return None

    def index(self, conditions: Search, limit: int = search.HITS_PER_PAGE) -> str:
        """The search form and a page of hits."""
        hits = search.find(self.query, self.tables.verdicts, conditions, limit)
        following = replace(conditions, after=hits[-1].doc_id) if len(hits) == limit else None
        choices = {} if self.static else search.choices(self.query, self.tables.verdicts)
        return self._render(
            "index.html", hits=hits, search=conditions, following=following, choices=choices
        )

    def document(self, doc_id: str) -> str | None:
        """One document: as shipped, and all nodes with the reasons of dropped ones."""
        found = history(self.tables, doc_id, self.archives)
        return self._render("document.html", history=found, remote=self.remote) if found else None

    def images(self, after: str) -> str:
        """A page of the stored images, in the order of their sha256."""
        rows = search.images(self.query, after, IMAGES_PER_PAGE)
        pictures = [(sha, thumbnail(stored, GALLERY_SIDE)) for sha, stored in rows]
        following = rows[-1][0] if len(rows) == IMAGES_PER_PAGE else None
        return self._render("images.html", pictures=pictures, following=following)

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
                static=self.static,
                compared=self.other is not None,
                charts=charts,
                **values,
            )
        )
