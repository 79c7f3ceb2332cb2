"""Section `fetch`: limits, politeness, consent, signals and storage of images."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from benben.pipeline.settings.consent import ConsentSettings
from benben.pipeline.settings.section import Section

BROWSERS = frozenset(("mozilla", "opera", "chrome", "safari", "applewebkit", "gecko", "lynx"))
HostPort = Annotated[str, StringConstraints(pattern=r"^[^:/@\s]+:\d+$|^\[[0-9A-Fa-f:.]+\]:\d+$")]


class FetchLimits(Section):
    """Limits of one image; an image that exceeds one is rejected with a reason."""

    connect_seconds: float = Field(gt=0, description="DNS, TCP and TLS together")
    seconds: float = Field(gt=0, description="one request, from its start to the last byte")
    bytes: int = Field(gt=0, description="of the body of one response")
    pixels: int = Field(gt=0, description="of one image: width x height")
    redirects: int = Field(ge=0, description="followed for one image")
    url_length: int = Field(gt=0, description="characters of an address")
    header_bytes: int = Field(gt=0, description="of one header line of a response")
    headers: int = Field(gt=0, description="header lines of one response")
    ports: list[int] = Field(min_length=1, description="ports that may be connected to")
    decode_bytes: int = Field(gt=0, description="memory of all decodes that run at once in a task")
    body_bytes: int = Field(
        gt=0, description="memory of all large bodies that a task holds at once"
    )


class PolitenessSettings(Section):
    """Load on one host, over all tasks: each host is owned by one task."""

    connections: int = Field(gt=0, description="requests at once to one host")
    requests_per_second: float = Field(gt=0, description="to one host")
    max_crawl_delay: float = Field(
        gt=0, description="seconds; a host with a longer one is given up"
    )
    retries: int = Field(ge=0, description="further tries after a failure that may pass")
    backoff_seconds: float = Field(
        gt=0, description="first wait after a failure; doubles each time"
    )
    max_wait_seconds: float = Field(
        gt=0, description="longest wait; a host whose Retry-After is longer is given up"
    )
    breaker_failures: int = Field(
        gt=0, description="failures in a row that open the circuit breaker"
    )
    breaker_seconds: float = Field(gt=0, description="before a host is tried again then")
    breaker_openings: int = Field(
        gt=0, description="times that the breaker opens before the host is given up"
    )
    images_per_host: int = Field(gt=0, description="further images of a host are not requested")
    unlimited_hosts: list[HostPort] = Field(
        default=[], description="host:port pairs without a rate limit, such as your own server"
    )


class ReencodeSettings(Section):
    """Store images re-encoded: upright, without metadata. By default bytes are stored unchanged."""

    format: Literal["jpeg", "webp", "png"] = Field(description="of the stored bytes")
    quality: int = Field(ge=1, le=100, description="of JPEG and WebP")
    max_side: int | None = Field(
        default=None, gt=0, description="pixels; larger images are scaled down"
    )


class ImageModelSettings(Section):
    """An ONNX model for images, with one input [1, 3, H, W] or [1, H, W, 3]."""

    path: str = Field(
        min_length=1, description="ONNX file; wheel:PACKAGE/FILE is a file of a package"
    )
    size: int = Field(gt=0, description="input height and width")
    resize: int | None = Field(
        default=None, gt=0, description="scale to this side first, then crop to `size`"
    )
    layout: Literal["nchw", "nhwc"] = Field(description="order of the input's axes")
    channels: Literal["rgb", "bgr"] = Field(description="order of the colours")
    scale: float = Field(default=1.0, description="pixel values 0..255 are multiplied by this,")
    mean: list[float] = Field(default=[0, 0, 0], description="reduced by this, by channel,")
    deviation: list[float] = Field(default=[1, 1, 1], description="and divided by this, by channel")
    output: int | None = Field(
        default=None, description="index of the score in the output; default: the first"
    )


class FetchSettings(Section):
    """Section `fetch`: the images of kept documents, from their servers."""

    enabled: bool = Field(description="download the images of kept documents")
    user_agent: str = Field(
        description="product token, version, and a contact: URL or mail address"
    )
    product: str = Field(
        default="",
        validate_default=True,
        description="product token by which robots.txt names us (RFC 9309, section 2.2.1); "
        "default: the first word of user_agent",
    )
    allow_hosts: list[HostPort] = Field(
        default=[],
        description="host:port pairs that may have private addresses, such as your own server",
    )
    archives: bool = Field(description="take images from the input's archives if they are there")
    backend: Literal["own", "img2dataset"] = Field(
        description="img2dataset: we check consent only, and img2dataset fetches the images"
    )
    img2dataset: list[str] = Field(
        default=[], description="folders of parquet shards of img2dataset to take images from"
    )
    concurrency: int = Field(gt=0, description="requests at once in a task")
    hosts: int = Field(gt=0, description="hosts at once in a task")
    decode_threads: int = Field(gt=0, description="decodes at once in a task")
    tasks: int | None = Field(default=None, gt=0, description="default: Spark's parallelism")
    attempt: int = Field(
        default=1, gt=0, description="raise it to request again what failed and may succeed now"
    )
    refuse_types: list[str] = Field(
        description="prefixes of Content-Type: such bodies are not read"
    )
    formats: list[str] = Field(description="formats that are decoded; other formats are rejected")
    signal_side: int = Field(
        ge=64, description="pixels; signals are measured on a copy with at most this side"
    )
    limits: FetchLimits
    politeness: PolitenessSettings
    consent: ConsentSettings
    reencode: ReencodeSettings | None = None
    nsfw: ImageModelSettings | None = None
    embedding: ImageModelSettings | None = None
    look: bool = Field(
        default=False, description="measure colours, edges and layout, which `worth` needs"
    )
    remember: int = Field(
        ge=0, description="images that a task remembers, so that equal bytes are not decoded again"
    )
    store: Literal["webdataset", "parquet"] = Field(
        description="webdataset: tar shards, written as images come; parquet: a copy in rows"
    )
    shard_bytes: int = Field(gt=0, description="size at which a shard of image bytes ends")

    @field_validator("user_agent")
    @classmethod
    def _reachable(cls, value: str) -> str:
        if "http" not in value and "@" not in value:
            raise ValueError("name a contact: a URL or a mail address in brackets")
        return value

    @field_validator("product")
    @classmethod
    def _own_token(cls, value: str, info: ValidationInfo) -> str:
        agent = str(info.data.get("user_agent", ""))
        token = value or agent.split("/")[0].split(" ")[0]
        if not value and token.lower() in BROWSERS:
            raise ValueError(
                f"user_agent begins like a browser's ({token}); "
                "name the product token by which sites can address you"
            )
        if not re.fullmatch("[A-Za-z0-9_-]+", token) or token.lower() not in agent.lower():
            raise ValueError(f"{token!r} is no product token that user_agent contains")
        return token
