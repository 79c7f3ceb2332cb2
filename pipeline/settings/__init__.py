"""What can be configured, section by section. Values live in `configs/`, not here."""

from __future__ import annotations

from pydantic import Field

from pipeline.settings.deduplicate import DeduplicateSettings, FingerprintSettings
from pipeline.settings.extract import ExtractSettings
from pipeline.settings.fetch import FetchSettings
from pipeline.settings.section import Section
from pipeline.settings.ship import AssembleSettings, ReportSettings
from pipeline.settings.signals import RuleSettings, SignalSettings
from pipeline.settings.spark import SparkSettings

__all__ = ["Config", "Section"]


class Config(Section):
    """A whole run."""

    input: list[str] = Field(min_length=1, description="WARC files, folders or path lists")
    output: str = Field(min_length=1, description="folder of this run's tables")
    extract: ExtractSettings
    signals: SignalSettings
    rules: RuleSettings
    fingerprint: FingerprintSettings
    deduplicate: DeduplicateSettings
    fetch: FetchSettings
    assemble: AssembleSettings
    report: ReportSettings
    spark: SparkSettings = SparkSettings()
