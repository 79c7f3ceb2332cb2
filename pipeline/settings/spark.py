"""Settings of Spark itself."""

from __future__ import annotations

from pydantic import Field

from benben.pipeline.settings.section import Section


class SparkSettings(Section):
    """Section `spark`. Without a master, spark-submit's or `local[*]`.

    Spark's own keys, the later the stronger: `configs/cluster/stages.yaml`, spark-submit's
    `--conf`, `options`, and `stages` for the stage at hand.
    """

    master: str | None = None
    partitions: int | None = Field(
        default=None, gt=0, description="tasks a stage; none: by the input's size"
    )
    part_bytes: int = Field(
        default=256_000_000, gt=0, description="archive bytes a task reads, without `partitions`"
    )
    options: dict[str, str] = Field(default={}, description="Spark's own keys, for every stage")
    stages: dict[str, dict[str, str]] = Field(
        default={}, description="Spark's own keys for one stage: stage -> key -> value"
    )
    one_task_rows: int = Field(
        default=100_000, ge=0, description="up to so many documents deduplication needs no shuffle"
    )
    task_seconds: float = Field(
        default=7200, gt=0, description="a task that takes longer hangs: it is killed and retried"
    )
    wave_tasks: int = Field(
        default=1000, gt=0, description="tasks of a wave; a stopped stage goes on after its waves"
    )
    failed_waves: int = Field(
        default=3, gt=0, description="a stage gives up once so many of its waves have failed"
    )
