"""The wall of images: kept and rejected ones, by reason, host and size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from benben.analysis.provenance.history import stored_pictures
from benben.analysis.query import Query
from benben.analysis.tables import RunTables

IMAGES_PER_PAGE = 48
SIDE = 200  # pixels of a thumbnail
HOSTS = 12  # shown to choose from
FACTS = ("url", "host", "reason", "detail", "sha256", "format", "width", "height", "num_bytes")


@dataclass(frozen=True)
class Wanted:
    """Which images to show; empty conditions are ignored."""

    status: str = ""  # kept | rejected
    reason: str = ""
    host: str = ""
    side: str = ""  # least pixels of the shorter side
    page: str = ""

    @classmethod
    def from_fields(cls, values: Mapping[str, str]) -> Wanted:
        """Read the fields of a form; unknown fields are ignored."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value.strip() for name, value in values.items() if name in known})

    def link(self, **changes: str) -> str:
        """Address of the first page of these images with changes."""
        changed = replace(self, **{"page": "", **changes})
        given = {one.name: getattr(changed, one.name) for one in fields(changed)}
        query = urlencode({name: value for name, value in given.items() if value})
        return f"images.html?{query}" if query else "images.html"

    @property
    def number(self) -> int:
        """Number of the page, from 1."""
        return max(1, int(self.page)) if self.page.isdecimal() and len(self.page) < 10 else 1

    def given(self) -> dict[str, str]:
        """The conditions that are not empty."""
        found = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return {name: value for name, value in found.items() if value and name != "page"}

    def conditions(self, without: str = "") -> tuple[str, list[Any]]:
        """SQL and its values; what users type is only ever passed as a value."""
        parts, values = ["true"], []
        for name, sql in (("reason", "reason = ?"), ("host", "host = ?")):
            if (value := getattr(self, name)) and name != without:
                parts.append(sql)
                values.append(value)
        if self.side.isdecimal() and len(self.side) < 10:
            parts.append("least(width, height) >= ?")
            values.append(int(self.side))
        if self.status in ("kept", "rejected") and without != "status":
            parts.append("reason is null" if self.status == "kept" else "reason is not null")
        return " and ".join(parts), values


@dataclass(frozen=True)
class Wall:
    """A page of images, each with its facts and its thumbnail, and the numbers by facet."""

    total: int
    images: list[tuple[dict[str, Any], str | None]]
    facets: dict[str, list[tuple[str, int]]]

    @property
    def pages(self) -> int:
        """Number of pages."""
        return -(-self.total // IMAGES_PER_PAGE)


def read(query: Query, tables: RunTables, wanted: Wanted) -> Wall:
    """A page of the images in the order of their URLs."""
    where, values = wanted.conditions()
    total = query.value(f"select count(*) from images where {where}", *values)
    start = (wanted.number - 1) * IMAGES_PER_PAGE
    rows = query.rows(
        f"select {', '.join(FACTS)} from images where {where} order by url "
        f"limit {IMAGES_PER_PAGE} offset {start}",
        *values,
    )
    facts = [dict(zip(FACTS, row, strict=True)) for row in rows]
    pictures = stored_pictures(tables, [one["sha256"] for one in facts], SIDE)
    facets = {}
    for name in ("reason", "host"):
        where, values = wanted.conditions(without=name)
        facets[name] = query.rows(
            f"select {name}, count(*) from images where {where} and {name} is not null "
            f"group by 1 order by 2 desc, 1 limit {HOSTS}",
            *values,
        )
    where, values = wanted.conditions(without="status")
    facets["status"] = query.rows(
        "select case when reason is null then 'kept' else 'rejected' end, count(*) from images "
        f"where {where} group by 1 order by 1",
        *values,
    )
    return Wall(total, [(one, pictures.get(one["sha256"] or "")) for one in facts], facets)
