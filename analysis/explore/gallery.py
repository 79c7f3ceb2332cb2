"""The wall of images: kept and rejected ones, by reason, host and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benben.analysis.explore.conditions import Conditions
from benben.analysis.provenance.history import stored_pictures
from benben.analysis.query import Query
from benben.analysis.tables import RunTables

IMAGES_PER_PAGE = 48
SIDE = 200  # pixels of a thumbnail
HOSTS = 12  # shown to choose from
FACTS = ("url", "host", "reason", "detail", "sha256", "format", "width", "height", "num_bytes")


@dataclass(frozen=True)
class Wanted(Conditions):
    """Which images to show; empty conditions are ignored."""

    PAGE = "images.html"

    status: str = ""  # kept | rejected
    reason: str = ""
    host: str = ""
    side: str = ""  # least pixels of the shorter side

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
