"""Find documents of a run: by words, URL, host, language, verdict and reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from benben.analysis.query import Query

PAGE = 50  # hits a page
TITLE_CHARS = 120


@dataclass(frozen=True)
class Search:
    """What is looked for; empty fields ask nothing. `after` is the last id of the page before."""

    words: str = ""
    url: str = ""
    host: str = ""
    lang: str = ""
    status: str = ""  # kept | rejected
    reason: str = ""
    after: str = ""

    @classmethod
    def from_fields(cls, values: Mapping[str, str]) -> Search:
        """Take the known fields of a form, ignore others."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value.strip() for name, value in values.items() if name in known})


@dataclass(frozen=True)
class Hit:
    """One found document."""

    doc_id: str
    url: str
    title: str
    lang: str
    kept: bool
    reason: str


def find(query: Query, verdicts: str, search: Search, limit: int = PAGE) -> list[Hit]:
    """The first hits by id after `search.after`; scans, but sorts no more than a page."""
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


def _conditions(search: Search) -> tuple[list[str], list[str]]:
    """SQL conditions and their values; what users type only ever becomes a value."""
    conditions, values = [], []
    for asked, condition in (
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
        if asked:
            conditions.append(condition)
            values.append(asked)
    if search.status in ("kept", "rejected"):
        conditions.append("v.kept" if search.status == "kept" else "not v.kept")
    return conditions, values


def choices(query: Query, verdicts: str) -> dict[str, list[tuple[str, int]]]:
    """Values for the form's lists, most frequent first."""
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


def images(query: Query, after: str, limit: int) -> list[tuple[str, str, bytes]]:
    """(sha256, format, bytes) of the next stored images by sha256."""
    return query.rows(
        f"select sha256, format, bytes from bytes where sha256 > ? order by 1 limit {int(limit)}",
        after,
    )
