"""Conditions of a page of the explorer, and its address: what a form sends and links carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self
from urllib.parse import urlencode


@dataclass(frozen=True)
class Conditions:
    """Conditions as texts; empty ones are ignored."""

    PAGE: ClassVar[str]  # name of the page
    ORDER: ClassVar[tuple[str, ...]] = ("page",)  # fields that say what comes when

    page: str = ""  # number of the page of results, from 1

    @classmethod
    def from_fields(cls, values: Mapping[str, str]) -> Self:
        """Read the fields of a form; unknown fields are ignored."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value.strip() for name, value in values.items() if name in known})

    def _filled(self) -> dict[str, str]:
        names = sorted((field.name for field in fields(self)), key="page".__eq__)  # it comes last
        found = {name: str(getattr(self, name)) for name in names}
        return {name: value for name, value in found.items() if value}

    def given(self) -> dict[str, str]:
        """The conditions that are not empty, without order and page."""
        return {name: value for name, value in self._filled().items() if name not in self.ORDER}

    def link(self, **changes: str) -> str:
        """Address of these conditions with changes; it begins again at the first page."""
        query = urlencode(replace(self, **{"page": "", **changes})._filled())
        return f"{self.PAGE}?{query}" if query else self.PAGE

    @property
    def number(self) -> int:
        """Number of the page of results, from 1."""
        return max(1, int(self.page)) if self.page.isdecimal() and len(self.page) < 10 else 1
