"""Settings of Spark itself."""

from __future__ import annotations

from pydantic import Field

from benben.pipeline.settings.section import Section


class SparkSettings(Section):
    """Section `spark`. Without `master`, spark-submit's master is used, or `local[*]`.

    Spark's own settings come from `configs/cluster/stages.yaml`, spark-submit's `--conf`, `options`
    and `stages`; each overrides those before it.
    """

    master: str | None = Field(
        default=None, description="Spark's master; default: spark-submit's, or local[*]"
    )
    partitions: int | None = Field(
        default=None, gt=0, description="tasks of a stage; null: by the input's size"
    )
    part_bytes: int = Field(
        default=256_000_000,
        gt=0,
        description="archive bytes for each task, if `partitions` is null",
    )
    options: dict[str, str] = Field(default={}, description="Spark's own settings, for every stage")
    stages: dict[str, dict[str, str]] = Field(
        default={}, description="Spark's own settings for one stage: stage -> key -> value"
    )
    one_task_rows: int = Field(
        default=100_000,
        ge=0,
        description="up to this many documents are deduplicated in one task, without a shuffle",
    )
    small_bytes: int = Field(
        default=500_000_000,
        ge=0,
        description="input of up to this size on a workstation: Spark is set up for a short run",
    )
    task_seconds: float = Field(
        default=7200, gt=0, description="a task that takes longer is killed and run again"
    )
    wave_tasks: int = Field(
        default=1000,
        gt=0,
        description="tasks of a wave; a stopped stage resumes after its finished waves",
    )
    failed_waves: int = Field(
        default=3, gt=0, description="a stage stops once this many of its waves have failed"
    )
