"""Find documents of a run by text, URL, host, language, verdict and reason; list its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from benben.analysis.query import Query

HITS_PER_PAGE = 50
TITLE_CHARS = 120


@dataclass(frozen=True)
class Search:
    """The conditions of a search; empty ones are ignored."""

    words: str = ""  # text that a node contains, in any case
    url: str = ""  # part of the page's URL
    host: str = ""
    lang: str = ""
    status: str = ""  # kept | rejected
    reason: str = ""
    after: str = ""  # the last document id of the page of hits before

    @classmethod
    def from_fields(cls, values: Mapping[str, str]) -> Search:
        """Read the fields of a form; unknown fields are ignored."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value.strip() for name, value in values.items() if name in known})


@dataclass(frozen=True)
class Hit:
    """A document that was found."""

    doc_id: str
    url: str
    title: str
    lang: str
    kept: bool
    reason: str


def find(query: Query, verdicts: str, search: Search, limit: int = HITS_PER_PAGE) -> list[Hit]:
    """The first hits by document id after `search.after`; `verdicts` names the table to use.

    Scans the tables, but sorts no more than the hits of one page.
    """
    conditions, values = _conditions(search)
    where = " and ".join(["true", *conditions])
    rows = query.rows(
        f"""
        select d.doc_id, d.url, d.title, v.lang, v.kept, v.reasons[1]
        from documents d join {verdicts} v using (doc_id)
        where {where} order by d.doc_id limit {int(limit)}
        """,
        *values,
    )
    return [
        Hit(doc_id, url, (title or "")[:TITLE_CHARS], lang or "", kept, reason or "")
        for doc_id, url, title, lang, kept, reason in rows
    ]


def choices(query: Query, verdicts: str) -> dict[str, list[tuple[str, int]]]:
    """The languages and reasons to choose from, each with its count, most frequent first."""
    return {
        "lang": query.rows(
            f"select lang, count(*) from {verdicts} where lang is not null "
            "group by 1 order by 2 desc, 1 limit 100"
        ),
        "reason": query.rows(
            f"select r, count(*) from (select unnest(reasons) as r from {verdicts}) "
            "group by 1 order by 2 desc, 1 limit 200"
        ),
    }


def images(query: Query, after: str, limit: int) -> list[tuple[Any, ...]]:
    """The next stored images in the order of their sha256, as (sha256, bytes)."""
    return query.rows(
        f"select sha256, bytes from bytes where sha256 > ? order by 1 limit {int(limit)}", after
    )


def _conditions(search: Search) -> tuple[list[str], list[str]]:
    """SQL conditions and their values; what users type is only ever passed as a value."""
    conditions, values = [], []
    for given, condition in (
        (
            search.words,
            "len(list_filter(d.nodes, lambda n: contains(lower(n.text), lower(?)))) > 0",
        ),
        (search.url, "contains(d.url, ?)"),
        (search.host, "d.host = ?"),
        (search.lang, "v.lang = ?"),
        (search.reason, "list_contains(v.reasons, ?)"),
        (search.after, "d.doc_id > ?"),
    ):
        if given:
            conditions.append(condition)
            values.append(given)
    if search.status in ("kept", "rejected"):
        conditions.append("v.kept" if search.status == "kept" else "not v.kept")
    return conditions, values
