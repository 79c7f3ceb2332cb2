"""Settings of Spark itself."""

from __future__ import annotations

from pydantic import Field

from pipeline.settings.section import Section


class SparkSettings(Section):
    """Section `spark`. Without a master, spark-submit's or `local[*]`."""

    master: str | None = None
    partitions: int | None = Field(
        default=None, gt=0, description="tasks a stage; none: by the input's size"
    )
    part_bytes: int = Field(
        default=256_000_000, gt=0, description="archive bytes a task reads, without `partitions`"
    )
    options: dict[str, str] = {}
