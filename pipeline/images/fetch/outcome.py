"""What became of one image URL: a row of `images`, and the bytes behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from benben.pipeline.images.processing.picture import Picture
from benben.pipeline.schema import IMAGES

# What a later attempt may mend; everything else is the final word on a URL.
LATER = frozenset(
    {
        "address.dns",
        "consent.robots_unreachable",
        "host.given_up",
        "host.quota",
        "http.408",
        "http.425",
        "http.429",
        "http.500",
        "http.502",
        "http.503",
        "http.504",
        "http.connection",
        "http.incomplete",
        "http.timeout",
        "img2dataset.missing",
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """An image URL to fetch; `target` differs from it after redirects."""

    url: str
    target: str
    hops: int = 0

    @classmethod
    def of(cls, url: str) -> Request:
        """A first request."""
        return cls(url, url)


@dataclass(slots=True)
class Outcome:
    """The end of one request. Names are columns of `images`, but for target, hops, last four."""

    url: str
    target: str  # what was to be asked: differs from `url` after redirects
    hops: int = 0
    reason: str | None = None
    detail: str | None = None
    final_url: str | None = None
    status: int | None = None
    content_type: str | None = None
    source: str = "network"  # | archive | img2dataset | none: nothing was asked
    requests: int = 0  # HTTP requests made for this image
    fetched_at: str | None = None  # ISO 8601 UTC; an archive's capture time
    nsfw: float | None = None
    embedding: list[float] | None = None
    picture: Picture | None = None
    data: bytes | None = field(default=None, repr=False)  # to be stored, when kept
    stored_format: str | None = None
    moved: Request | None = None  # the redirect that another owner has to follow

    @property
    def later(self) -> bool:
        """Whether asking again may help."""
        return self.reason in LATER

    def row(self) -> dict[str, Any]:
        """A row of `images`."""
        row: dict[str, Any] = dict.fromkeys(IMAGES.names)
        if self.picture is not None:
            for name in PICTURE_COLUMNS:
                row[name] = getattr(self.picture, name)
        for name in OWN_COLUMNS:
            row[name] = getattr(self, name)
        if self.picture is not None and self.reason is None:
            row["reason"], row["detail"] = self.picture.reason, self.picture.detail
        row["final_url"] = self.final_url or self.target
        row["host"] = host_of(self.url)
        if row["width"] and row["height"]:
            row["aspect"] = row["width"] / row["height"]
        return row


PICTURE_COLUMNS = tuple(Picture.__dataclass_fields__)
OWN_COLUMNS = (
    "url",
    "reason",
    "detail",
    "status",
    "content_type",
    "source",
    "requests",
    "fetched_at",
    "nsfw",
    "embedding",
)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of the schema IMAGES."""
    return pa.Table.from_pylist(rows, schema=IMAGES)


def host_of(url: str) -> str:
    """Host of a URL, lower case; empty when it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def pair_of(url: str) -> str:
    """`host:port` of a URL, the port filled in; empty when it has no such."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return ""
    host = (parts.hostname or "").lower()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def owner(url: str) -> str:
    """Key by which URLs are given to tasks: the host, without a leading "www."."""
    return host_of(url).removeprefix("www.")
