"""Settings of image download: politeness, consent, safety."""

from __future__ import annotations

from pydantic import Field

from pipeline.settings.section import Section


class FetchSettings(Section):
    """Section `fetch`."""

    enabled: bool
    user_agent: str = Field(min_length=1)
    allow_hosts: list[str] = Field(
        default=[], description="host:port pairs reachable although private, such as a demo server"
    )
    timeout_seconds: float = Field(gt=0)
    max_bytes: int = Field(gt=0)
    max_pixels: int = Field(gt=0)
