"""Settings of deduplication."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.settings.section import Section

Criterion = Literal["images", "words", "newest", "oldest"]


class FingerprintSettings(Section):
    """Section `fingerprint`: how texts are sketched; `bands` x `rows` slots a signature."""

    shingle_words: int = Field(gt=0, description="characters in scripts without spaces")
    min_words: int = Field(ge=1, description="shorter texts are compared by URL and payload only")
    bands: int = Field(gt=0)
    rows: int = Field(gt=0)
    seed: int = Field(ge=0)

    @property
    def slots(self) -> int:
        """Values in a signature."""
        return self.bands * self.rows


class MinHashSettings(Section):
    """Near-duplicates: documents that share a band and are similar enough."""

    enabled: bool
    verify_jaccard: float = Field(ge=0, le=1, description="least similarity to the kept document")


class DeduplicateSettings(Section):
    """Section `deduplicate`."""

    keep: list[Criterion] = Field(description="which document of a cluster stays; ties: lowest id")
    url: bool
    payload: bool
    text: bool
    minhash: MinHashSettings
