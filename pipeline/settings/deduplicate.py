"""Settings of deduplication."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.settings.section import Section

Criterion = Literal["images", "words", "newest", "oldest"]


class MinHashSettings(Section):
    """MinHash LSH over shingles: `bands` x `rows` slots a signature."""

    enabled: bool
    shingle_words: int = Field(gt=0, description="characters in scripts without spaces")
    min_words: int = Field(ge=1, description="shorter texts are compared by URL and payload only")
    bands: int = Field(gt=0)
    rows: int = Field(gt=0)
    verify_jaccard: float = Field(ge=0, le=1, description="least similarity to the kept document")
    seed: int = Field(ge=0)


class DeduplicateSettings(Section):
    """Section `deduplicate`."""

    keep: list[Criterion] = Field(description="which document of a cluster stays; ties: lowest id")
    url: bool
    payload: bool
    text: bool
    minhash: MinHashSettings
