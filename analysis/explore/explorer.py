"""The explorer's pages as HTML: search, document, image wall, funnel, distributions, drift.

Every name of a page works both as an address on the server and as a file of the static form.
Pages are hostile: all they say is escaped, pictures are encoded anew, scripts are forbidden.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from threading import Lock

from markupsafe import Markup

from benben.analysis.explore import search
from benben.analysis.explore.search import Search
from benben.analysis.provenance.archives import Originals
from benben.analysis.provenance.history import NOWHERE, trace
from benben.analysis.query import Query
from benben.analysis.report import charts, funnel
from benben.analysis.report.distributions import Distributions, compare, distributions
from benben.analysis.report.html_report import TEMPLATES, environment
from benben.analysis.safe_html import data_uri
from benben.analysis.tables import RunTables

WALL = 60  # pictures a page
WALL_SIDE = 160  # pixels


class Explorer:
    """Pages about one run, and another to compare it with.

    `originals` are the archives, for the pages' source; `remote` lets the browser ask the
    web for images whose bytes are not stored.
    """

    def __init__(
        self,
        output: str,
        against: str | None = None,
        originals: Originals = NOWHERE,
        remote: bool = False,
        static: bool = False,
    ) -> None:
        self.tables = RunTables(output)
        self.other = RunTables(against) if against else None
        self.originals, self.remote, self.static = originals, remote, static
        self._lock = Lock()  # DuckDB connections are not for several threads at once

    @cached_property
    def query(self) -> Query:
        """SQL over the run."""
        return Query(self.tables)

    @cached_property
    def style(self) -> str:
        """The pages' style sheet."""
        names = ("report.css", "explore/explore.css")
        return "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)

    @cached_property
    def policy(self) -> str:
        """Content-Security-Policy of every page."""
        digest = base64.b64encode(hashlib.sha256(self.style.encode()).digest()).decode()
        remote = " http: https:" if self.remote else ""
        return (
            f"default-src 'none'; img-src data:{remote}; style-src 'sha256-{digest}'; "
            "form-action 'self'; base-uri 'none'"
        )

    @cached_property
    def distributions(self) -> Distributions:
        """Histograms of the run, gathered when first asked for."""
        return distributions(self.tables)

    @cached_property
    def others(self) -> Distributions | None:
        """Histograms of the run to compare with."""
        return distributions(self.other) if self.other else None

    def page(self, name: str, fields: Mapping[str, str]) -> str | None:
        """A page by its file name; None when there is none."""
        with self._lock:
            if name in ("", "index.html"):
                return self.index(Search.from_fields(fields))
            if name.startswith("document-"):
                return self.document(name.removeprefix("document-").removesuffix(".html"))
            if name == "images.html" or name.startswith("images-"):
                return self.wall(name.removeprefix("images").removesuffix(".html").lstrip("-"))
            if name == "funnel.html":
                return self._render("funnel.html", funnel=funnel.read(self.tables.output))
            if name == "distributions.html":
                return self._render("distributions.html", distributions=self.distributions)
            if name == "drift.html" and self.others:
                shifts = compare(self.others, self.distributions)
                assert self.other
                return self._render("drift.html", shifts=shifts, other=self.other.output)
            return None

    def index(self, asked: Search, limit: int = search.PAGE) -> str:
        """The search form and a page of hits."""
        hits = search.find(self.query, self.tables.verdicts, asked, limit)
        full = len(hits) == limit
        following = replace(asked, after=hits[-1].doc_id) if full else None
        choices = {} if self.static else search.choices(self.query, self.tables.verdicts)
        return self._render(
            "index.html", hits=hits, asked=asked, following=following, choices=choices
        )

    def document(self, doc_id: str) -> str | None:
        """One document: as shipped, and every node with its fate."""
        found = trace(self.tables, doc_id, self.originals)
        return self._render("document.html", trace=found, remote=self.remote) if found else None

    def wall(self, after: str) -> str:
        """Stored images, a page at a time."""
        rows = search.images(self.query, after, WALL)
        pictures = [(sha, data_uri(stored, WALL_SIDE)) for sha, _, stored in rows]
        following = rows[-1][0] if len(rows) == WALL else None
        return self._render("images.html", pictures=pictures, following=following)

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
                plot=charts,
                **values,
            )
        )
