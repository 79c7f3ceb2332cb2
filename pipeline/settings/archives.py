"""Settings of reading archives from far away."""

from __future__ import annotations

from pydantic import Field

from benben.pipeline.settings.section import Section


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
    prefix: str | None = Field(
        default=None,
        description="what relative paths of lists and of the index stand under, such as "
        "s3://commoncrawl; none: a list's own place",
    )
    s3: S3Settings = S3Settings()


class IndexSettings(Section):
    """Section `index`: pages chosen from Common Crawl's columnar index; empty: no condition."""

    table: str = Field(min_length=1, description="parquet file or folder of the index")
    crawls: list[str] = Field(default=[], description="such as CC-MAIN-2024-22")
    languages: list[str] = Field(default=[], description="ISO 639-3, any of the page's")
    mimes: list[str] = Field(default=[], description="detected types")
    statuses: list[int] = [200]
    hosts: list[str] = Field(default=[], description="hosts, with their subdomains")
    where: str | None = Field(default=None, description="a further condition, in Spark SQL")
