"""Settings of extraction: what is read, what of a page becomes nodes, limits."""

from __future__ import annotations

from pydantic import Field

from pipeline.settings.section import Section


class Limits(Section):
    """What a page may cost; more becomes a counted reason."""

    page_bytes: int = Field(gt=0)
    nodes: int = Field(gt=0)
    depth: int = Field(gt=0)
    seconds: float = Field(gt=0)


class ExtractSettings(Section):
    """Section `extract`."""

    limits: Limits
