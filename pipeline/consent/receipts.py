"""Receipts of consent: what was asked, when, what was said, and the verdict. Rows of CONSENT.

A source is the answer to the request for a site's file; it is stored once, and the rows of images
and redirects name it by its digest. Verdicts can be derived again from the receipts alone, and a
receipt of which a byte was changed does not fit its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from benben.common.text import lines
from benben.pipeline import storage
from benben.pipeline.consent.directives import Statements, binding_facts
from benben.pipeline.consent.image_consent import header_reason
from benben.pipeline.consent.page_robots import PageRobots
from benben.pipeline.consent.site_files import (
    OriginConsent,
    SiteFile,
    digest_of,
    origin_of,
    with_digest,
)
from benben.pipeline.schema import CONSENT
from benben.pipeline.settings.consent import ConsentSettings, OptOutRules

Row = dict[str, Any]
BATCH_PAGES = 2_000
PAGE_REASON = "document.opt_outs.max"  # the rule that refuses pages which opted out
# Reasons that pages, lists, pictures and errors give, and no site: receipts hold what those said.
ELSEWHERE = ("consent.page", "consent.list_", "consent.metadata", "consent.error")


def _row(kind: str, url: str, **values: Any) -> Row:
    return with_digest({"kind": kind, "url": url, **values})


def to_site_file(row: Mapping[str, Any]) -> SiteFile:
    """The answer that a source's receipt holds."""
    said = row["said"] or ""
    return SiteFile(row["url"], row["path"], row["status"], said, 0.0, row["detail"])


def image_row(row: Mapping[str, Any], asked: list[str], sources: list[str], said: str) -> Row:
    """The receipt of an image, from its row of `images`.

    `asked` are the addresses that led to it, `said` the lines of its response's headers.
    """
    reason, detail = row.get("reason"), row.get("detail")
    if reason is not None and reason.startswith(ELSEWHERE):
        said = f"{reason}: {detail or ''}"
    return _row(
        "image",
        row["url"],
        path="\n".join(asked),
        asked_at=row.get("fetched_at"),
        status=row.get("status"),
        said=said or None,
        sources=sources,
        reason=reason,
        detail=detail,
    )


def redirect_row(url: str, asked: list[str], sources: list[str]) -> Row:
    """The receipt of the addresses that led an image to the host of another owner."""
    return _row("redirect", url, path="\n".join(asked), sources=sources)


def page_row(page: Mapping[str, Any], reasons: Iterable[str], sources: Sequence[str] = ()) -> Row:
    """The receipt of a page, from its row of `documents` and the reasons of its verdict.

    `sources` are digests of the answers of its site that the crawl captured.
    """
    return _row(
        "page",
        page["url"],
        path=page["doc_id"],
        asked_at=page["captured_at"],
        status=page["status"],
        said="\n".join(page["opt_outs"] or ()) or None,
        sources=list(sources),
        reason=page_reason(reasons),
    )


def page_reason(reasons: Iterable[str]) -> str | None:
    """The first of a verdict's reasons that is one of consent."""
    return next((r for r in reasons if r == PAGE_REASON or r.startswith("consent.")), None)


def page_rows(paths: Mapping[str, str], robots: PageRobots) -> Iterator[pa.RecordBatch]:
    """Receipts of the pages of one part that are kept or refused for consent, after their sources.

    `paths` are the files of `documents` and `verdicts`; `robots` is what the crawl captured.
    """
    columns: list[list[str] | None] = [
        ["doc_id", "url", "captured_at", "status", "opt_outs"],
        ["kept", "reasons"],
    ]
    files = [paths["documents"], paths["verdicts"]]
    written: set[str] = set()
    for documents, verdicts in storage.iter_aligned(files, columns, BATCH_PAGES):
        rows: list[Row] = []
        for page, verdict in zip(documents.to_pylist(), verdicts.to_pylist(), strict=True):
            reasons = verdict["reasons"] or ()
            if not verdict["kept"] and page_reason(reasons) is None:
                continue
            consent = robots.consent(page["url"])
            sources = consent.receipts if consent else []
            rows += [row for row in sources if row["digest"] not in written]
            written |= {row["digest"] for row in sources}
            rows.append(page_row(page, reasons, [row["digest"] for row in sources]))
        yield pa.RecordBatch.from_pylist(rows, schema=CONSENT)


# The verdicts again


@dataclass
class ReceiptCheck:
    """Checks the receipts of one file; sources come before the rows that name them."""

    settings: ConsentSettings
    product: str
    pages: OptOutRules | None  # those of the signal `opt_outs`; None: no rule refuses pages
    _sources: dict[str, SiteFile] = field(default_factory=dict)
    _origins: dict[tuple[str, ...], OriginConsent] = field(default_factory=dict)

    def problems(self, rows: Iterable[Row]) -> Iterator[tuple[Row, str]]:
        """Yield each receipt with what is wrong with it; "" if nothing is."""
        for row in rows:
            if digest_of(row) != row["digest"]:
                yield row, "does not fit its digest: it was changed"
                continue
            if row["kind"] == "source":
                self._sources[row["digest"]] = to_site_file(row)
                yield row, ""
                continue
            missing = [name for name in row["sources"] if name not in self._sources]
            if missing:
                yield row, f"source {missing[0][:12]} is missing"
                continue
            is_page = row["kind"] == "page"
            verdict = self._page(row) if is_page else self._image(row, row["path"] or "")
            said = f"the verdict was {row['reason']}, and is {verdict}"
            yield row, "" if verdict == row["reason"] else said

    def _page(self, row: Row) -> str | None:
        refused = self._asked(row, row["url"])
        if refused is not None or self.pages is None:
            return refused
        facts = lines(row["said"] or "")
        return PAGE_REASON if any(binding_facts(facts, self.pages, self._page_agents)) else None

    @cached_property
    def _page_agents(self) -> tuple[str, ...]:
        return (*self.pages.agents, *self.pages.training_agents) if self.pages else ()

    def _image(self, row: Row, addresses: str) -> str | None:
        refused = self._asked(row, addresses)
        said = str(row["said"] or "")
        if refused is not None:
            return refused
        if said.startswith(ELSEWHERE):
            return said.partition(":")[0]
        return header_reason(Statements(said), self.settings, self.product)

    def _asked(self, row: Row, addresses: str) -> str | None:
        """What the sources of a receipt say of the addresses, one a line."""
        named = [(name, self._sources[name]) for name in row["sources"]]
        for url in lines(addresses) if named else ():
            origin = origin_of(url)
            key = tuple(name for name, answer in named if answer.origin == origin)
            if key not in self._origins:
                answers = [answer for _, answer in named if answer.origin == origin]
                self._origins[key] = OriginConsent(answers, self.settings, self.product)
            refused = self._origins[key].reason(url)
            if refused is not None:
                return refused[0]
        return None
