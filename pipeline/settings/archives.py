"""Settings of reading archives from far away."""

from __future__ import annotations

from pydantic import Field

from pipeline.settings.section import Section


class S3Settings(Section):
    """How S3 is reached; credentials come from the usual AWS chain."""

    endpoint: str | None = Field(
        default=None, description="URL of an S3-compatible store; none: AWS_ENDPOINT_URL, else AWS"
    )
    region: str | None = Field(default=None, description="none: the AWS chain's")
    anonymous: bool = Field(default=False, description="send unsigned requests: public buckets")


class ArchiveSettings(Section):
    """Section `archives`: HTTP(S) and S3 range reads, shared by all tasks on a machine."""

    user_agent: str = Field(default="benben", min_length=1)
    requests_per_second: float = Field(
        default=20, gt=0, description="to one host, by all tasks of a machine together"
    )
    attempts: int = Field(default=10, gt=0, description="tries of one request that gets no further")
    backoff_seconds: float = Field(default=0.5, ge=0, description="first wait; doubles, jittered")
    max_wait_seconds: float = Field(default=120, ge=0, description="longest wait, Retry-After too")
    timeout_seconds: float = Field(default=60, gt=0, description="to connect, and between bytes")
    chunk_bytes: int = Field(default=8 << 20, gt=0, description="bytes a request asks for")
    coalesce_bytes: int = Field(
        default=1 << 20, ge=0, description="records this near are fetched by one request"
    )
    s3: S3Settings = S3Settings()
