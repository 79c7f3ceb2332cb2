"""Settings of image download: limits, politeness, consent, what is measured and stored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from benben.pipeline.settings.section import Section

HostPort = Annotated[str, StringConstraints(pattern=r"^[^:/@\s]+:\d+$|^\[[0-9A-Fa-f:.]+\]:\d+$")]


class FetchLimits(Section):
    """What one image may cost; more becomes a counted reason."""

    connect_seconds: float = Field(gt=0, description="DNS, TCP and TLS together")
    seconds: float = Field(gt=0, description="one request from its start to its last byte")
    bytes: int = Field(gt=0, description="body of one response")
    pixels: int = Field(gt=0, description="width x height of one image")
    redirects: int = Field(ge=0)
    url_length: int = Field(gt=0, description="characters")
    header_bytes: int = Field(gt=0, description="of one header line")
    headers: int = Field(gt=0, description="header lines in one response")
    ports: list[int] = Field(min_length=1, description="ports that may be connected to")
    decode_bytes: int = Field(gt=0, description="memory of all decodes at work in one task")
    body_bytes: int = Field(gt=0, description="memory of all large bodies held in one task")


class PolitenessSettings(Section):
    """How hard one host may be asked, over all tasks (one task owns a host)."""

    connections: int = Field(gt=0, description="requests at once to one host")
    requests_per_second: float = Field(gt=0, description="to one host")
    max_crawl_delay: float = Field(gt=0, description="seconds; a host that asks for more is left")
    retries: int = Field(ge=0, description="further tries of what can succeed later")
    backoff_seconds: float = Field(gt=0, description="first wait after a failure; doubles")
    max_wait_seconds: float = Field(gt=0, description="longest wait, also for Retry-After")
    breaker_failures: int = Field(gt=0, description="failures in a row that close a host off")
    breaker_seconds: float = Field(gt=0, description="before a closed-off host is tried again")
    breaker_openings: int = Field(gt=0, description="times closed off before it is given up")
    images_per_host: int = Field(gt=0, description="more of one host are not requested")
    unlimited_hosts: list[HostPort] = Field(
        default=[], description="host:port pairs without a rate, such as the user's own server"
    )


class ConsentSettings(Section):
    """Which opt-outs are respected, each a switch or a list of files."""

    pages: bool = Field(description="opt-outs of the page an image stands on")
    robots: bool = Field(description="robots.txt, RFC 9309")
    headers: bool = Field(description="X-Robots-Tag of the image's response")
    tdm: bool = Field(description="TDM reservation: response header and /.well-known/tdmrep.json")
    directives: list[str] = Field(description="robots meta and X-Robots-Tag words that opt out")
    agents: list[str] = Field(
        description="other crawlers' product tokens whose own robots.txt groups bind us too"
    )
    robots_hours: float = Field(gt=0, description="how long a robots.txt is cached")
    robots_bytes: int = Field(ge=512_000, description="of a robots.txt that are read")
    domains: list[str] = Field(default=[], description="opt-out lists: files of domains")
    urls: list[str] = Field(default=[], description="opt-out lists: files of image URLs")
    sha256: list[str] = Field(default=[], description="opt-out lists: files of SHA-256 in hex")
    phash: list[str] = Field(default=[], description="opt-out lists: perceptual hashes in hex")
    phash_distance: int = Field(default=0, ge=0, le=16, description="bits that may differ")
    tombstones: list[str] = Field(
        default=[], description="lists of tombstones; takedown.tombstones come here"
    )


class ReencodeSettings(Section):
    """Store pictures re-encoded: oriented, without metadata. Without this: bytes as they came."""

    format: Literal["jpeg", "webp", "png"]
    quality: int = Field(ge=1, le=100)
    max_side: int | None = Field(default=None, gt=0, description="pixels; larger are scaled down")


class ImageModelSettings(Section):
    """An ONNX model over pictures: one input [1, 3, H, W] or [1, H, W, 3]."""

    path: str = Field(min_length=1, description="ONNX file; wheel:PACKAGE/FILE: in a package")
    size: int = Field(gt=0, description="input height and width")
    resize: int | None = Field(default=None, gt=0, description="scaled to this, then cropped")
    layout: Literal["nchw", "nhwc"]
    channels: Literal["rgb", "bgr"]
    scale: float = Field(default=1.0, description="pixel values 0..255 are multiplied by this ...")
    mean: list[float] = Field(default=[0, 0, 0], description="... less this, by channel ...")
    deviation: list[float] = Field(default=[1, 1, 1], description="... divided by this")
    output: int | None = Field(default=None, description="index in the output; none: all of it")


class FetchSettings(Section):
    """Section `fetch`."""

    enabled: bool
    user_agent: str = Field(description="product token, version, and a contact URL or address")
    allow_hosts: list[HostPort] = Field(
        default=[], description="host:port pairs reachable although private, such as a demo server"
    )
    archives: bool = Field(description="take images from the input's archives where they hold them")
    backend: Literal["own", "img2dataset"] = Field(
        description="img2dataset: we ask for consent and leave the images to it"
    )
    img2dataset: list[str] = Field(
        default=[], description="folders of img2dataset's parquet shards to take images from"
    )
    concurrency: int = Field(gt=0, description="requests at once in one task")
    hosts: int = Field(gt=0, description="hosts worked on at once in one task")
    decode_threads: int = Field(gt=0)
    tasks: int | None = Field(default=None, gt=0, description="none: Spark's parallelism")
    attempt: int = Field(default=1, gt=0, description="raise it to ask again for what failed only")
    refuse_types: list[str] = Field(
        description="beginnings of declared types whose bodies are not read"
    )
    formats: list[str] = Field(description="formats that are decoded; others are a reason")
    signal_side: int = Field(ge=64, description="pixels; signals are measured on a copy this large")
    limits: FetchLimits
    politeness: PolitenessSettings
    consent: ConsentSettings
    reencode: ReencodeSettings | None = None
    nsfw: ImageModelSettings | None = None
    embedding: ImageModelSettings | None = None
    remember: int = Field(
        ge=0, description="contents a task remembers: equal bytes are not decoded again"
    )
    store: Literal["webdataset", "parquet"] = Field(
        description="webdataset: tar shards, written as images come; parquet: a copy as rows"
    )
    shard_bytes: int = Field(gt=0, description="size at which a new shard of image bytes begins")

    @field_validator("user_agent")
    @classmethod
    def _reachable(cls, value: str) -> str:
        if "http" not in value and "@" not in value:
            raise ValueError("name a contact: an URL or a mail address in brackets")
        return value

    @property
    def product(self) -> str:
        """The product token by which robots.txt names us (RFC 9309, section 2.2.1)."""
        return self.user_agent.split("/")[0].split(" ")[0]
