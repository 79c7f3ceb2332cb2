"""Settings of the dataset and the report."""

from __future__ import annotations

from pydantic import Field

from pipeline.settings.section import Section


class AssembleSettings(Section):
    """Section `assemble`."""

    rows_per_shard: int = Field(gt=0)


class ReportSettings(Section):
    """Section `report`."""

    sample_documents: int = Field(ge=0)
