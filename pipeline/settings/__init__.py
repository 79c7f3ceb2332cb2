"""What can be configured, section by section.

Values are in `configs/`; only sections and keys that a config may omit have defaults here.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from benben.pipeline.settings.archives import ArchiveSettings, IndexSettings
from benben.pipeline.settings.deduplicate import (
    DeduplicateSettings,
    FingerprintSettings,
    PictureSettings,
)
from benben.pipeline.settings.extract import ExtractSettings
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.settings.section import Section
from benben.pipeline.settings.ship import (
    AssembleSettings,
    ReportSettings,
    TakedownSettings,
)
from benben.pipeline.settings.signals import RuleSettings, SignalSettings
from benben.pipeline.settings.spark import SparkSettings
from benben.pipeline.settings.worth import WorthSettings

__all__ = ["Config", "Section"]


class Config(Section):
    """The whole config of a run. Load one with `benben.pipeline.config.load`."""

    index: IndexSettings | None = None
    input: list[str] = Field(description="WARC and ARC files, folders or path lists")
    output: str = Field(min_length=1, description="folder or URL of this run's tables")
    archives: ArchiveSettings
    extract: ExtractSettings
    signals: SignalSettings
    rules: RuleSettings
    fingerprint: FingerprintSettings
    deduplicate: DeduplicateSettings
    revised_by: list[str] = Field(
        default=[],
        description="folders of later runs whose revisions apply to this one, oldest first",
    )
    robots: list[str] = Field(
        default=[],
        description="folders of tables that `benben robots` made: pages that their site's "
        "robots.txt disallowed when they were crawled are refused",
    )
    fetch: FetchSettings
    pictures: PictureSettings
    worth: WorthSettings = WorthSettings()
    assemble: AssembleSettings
    report: ReportSettings
    takedown: TakedownSettings = TakedownSettings()
    spark: SparkSettings = SparkSettings()

    @field_validator("rules", mode="before")
    @classmethod
    def _none_removes_all(cls, value: Any) -> Any:
        return value if value is not None else {}

    @field_validator("deduplicate")
    @classmethod
    def _bands_of_the_threshold(
        cls, value: DeduplicateSettings, info: ValidationInfo
    ) -> DeduplicateSettings:
        given, chosen = info.data.get("fingerprint"), value.minhash.chosen
        if chosen and given and (given.bands, given.rows) != chosen:
            raise ValueError(
                f"minhash.threshold chooses {chosen[0]} bands of {chosen[1]} rows, but fingerprint "
                f"has {given.bands} of {given.rows}: leave out fingerprint.bands and "
                "fingerprint.rows, or minhash.threshold"
            )
        return value

    @field_validator("worth")
    @classmethod
    def _looks_are_measured(cls, value: WorthSettings, info: ValidationInfo) -> WorthSettings:
        fetch = info.data.get("fetch")
        if value.enabled and fetch and not fetch.look:
            raise ValueError("worth.enabled needs fetch.look=true")
        return value

    @field_validator("input")
    @classmethod
    def _archives_or_index(cls, value: list[str], info: ValidationInfo) -> list[str]:
        if bool(value) == bool(info.data.get("index")):
            raise ValueError(
                "name archives here, or set index to choose pages from it, but not both"
            )
        return value
