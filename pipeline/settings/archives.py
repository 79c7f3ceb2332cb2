"""Settings for reading archives from web servers and object stores."""

from __future__ import annotations

from pydantic import Field

from benben.pipeline.settings.section import Section


class S3Settings(Section):
    """Access to S3. Credentials come from where AWS's tools look for them."""

    endpoint: str | None = Field(
        default=None,
        description="URL of an S3-compatible store; none: AWS_ENDPOINT_URL, else AWS",
    )
    region: str | None = Field(default=None, description="none: the bucket's, else AWS_REGION")
    anonymous: bool = Field(default=False, description="send unsigned requests: public buckets")


class ArchiveSettings(Section):
    """Section `archives`: range reads from servers, at a rate all tasks of a machine share."""

    user_agent: str = Field(
        default="benben", min_length=1, description="name that archive servers are told"
    )
    requests_per_second: float = Field(
        default=20, gt=0, description="to one host, by all tasks of a machine together"
    )
    attempts: int = Field(default=10, gt=0, description="of a request that brings no bytes")
    backoff_seconds: float = Field(default=0.5, ge=0, description="first wait; doubles, jittered")
    max_wait_seconds: float = Field(
        default=120, ge=0, description="longest wait, Retry-After included"
    )
    timeout_seconds: float = Field(default=60, gt=0, description="to connect, and between bytes")
    chunk_bytes: int = Field(default=8 << 20, gt=0, description="of one request")
    coalesce_bytes: int = Field(
        default=1 << 20, ge=0, description="records closer than this are fetched by one request"
    )
    prefix: str | None = Field(
        default=None,
        description="what relative paths in lists and in the index are below, such as "
        "s3://commoncrawl; none: the list's own folder",
    )
    s3: S3Settings = S3Settings()


class IndexSettings(Section):
    """Section `index`: conditions on Common Crawl's columnar index; an empty one selects all."""

    table: str = Field(min_length=1, description="parquet file or folder of the index")
    crawls: list[str] = Field(default=[], description="such as CC-MAIN-2024-22")
    languages: list[str] = Field(default=[], description="ISO 639-3; a page needs one of them")
    mimes: list[str] = Field(default=[], description="detected media types")
    statuses: list[int] = Field(default=[200], description="HTTP statuses of captures to take")
    hosts: list[str] = Field(default=[], description="with their subdomains")
    where: str | None = Field(default=None, description="a further condition, in Spark SQL")
