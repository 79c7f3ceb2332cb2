"""Settings of consent: which opt-outs are respected, in pages and in images."""

from __future__ import annotations

from pydantic import Field

from benben.pipeline.settings.section import Section


class OptOutRules(Section):
    """Which statements of a page or a response opt out: a list or a switch for each kind."""

    directives: list[str] = Field(
        description="directives of robots meta elements and X-Robots-Tag that opt out"
    )
    agents: list[str] = Field(
        description="other crawlers: what names them in robots.txt, pages and headers binds us too"
    )
    training_agents: list[str] = Field(
        description="crawlers that collect for AI training, which bind us like `agents`; "
        "empty: they do not"
    )
    tdm: bool = Field(description="TDM reservation (TDMRep): headers, markup, tdmrep.json")
    content_usage: bool = Field(
        description="Content-Usage of IETF AIPREF: headers, markup, robots.txt"
    )
    content_signal: bool = Field(
        description="Content-Signal of Cloudflare: headers, markup, robots.txt"
    )
    rsl: bool = Field(description="licences of Really Simple Licensing: links, markup, robots.txt")


class ConsentSettings(OptOutRules):
    """Which opt-outs are respected before an image is stored."""

    pages: bool = Field(description="opt-outs of the pages that show an image")
    robots: bool = Field(description="robots.txt, RFC 9309")
    headers: bool = Field(description="X-Robots-Tag of the image's response")
    metadata: bool = Field(
        description="data mining in a picture's XMP (PLUS, TDMRep) or C2PA manifest"
    )
    ai_txt: bool = Field(description="ai.txt, as Spawning writes it")
    rsl_payments: list[str] = Field(
        description="types of payment of an RSL licence that are no obstacle"
    )
    robots_hours: float = Field(gt=0, description="hours that a site's files are cached")
    robots_bytes: int = Field(ge=512_000, description="bytes of a site's file that are read")
    domains: list[str] = Field(default=[], description="opt-out lists: files of domains")
    urls: list[str] = Field(default=[], description="opt-out lists: files of image URLs")
    sha256: list[str] = Field(default=[], description="opt-out lists: files of SHA-256 in hex")
    phash: list[str] = Field(
        default=[], description="opt-out lists: files of perceptual hashes in hex"
    )
    phash_distance: int = Field(
        default=0, ge=0, le=16, description="bits that may differ from a listed perceptual hash"
    )
    tombstones: list[str] = Field(
        default=[], description="lists of tombstones; takedown.tombstones are added"
    )
